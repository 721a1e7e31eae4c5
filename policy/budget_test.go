package policy_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// noSource turns a source of tokens off.
const noSource = -1

func drainBudget(b *policy.Budget) int {
	n := 0
	for b.Take() {
		n++
	}
	return n
}

func countCalls(b *policy.Budget, n int) {
	for range n {
		b.Call()
	}
}

func TestBudgetStartsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewBudget(policy.BudgetConfig{})
		require.InDelta(t, 10, b.Tokens(), 1e-9)
		require.Equal(t, 10, drainBudget(b))
	})
}

func TestBudgetIsEarnedByCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewBudget(policy.BudgetConfig{Share: 0.1, PerSecond: noSource})
		drainBudget(b)
		for range 10 { // ten tenths are one, whatever their sum in floating point
			require.False(t, b.Take())
			b.Call()
		}
		require.True(t, b.Take())
		require.False(t, b.Take())
	})
}

func TestBudgetIsEarnedByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewBudget(policy.BudgetConfig{Share: noSource, PerSecond: 2})
		drainBudget(b)
		for range 100 {
			time.Sleep(500 * time.Millisecond)
			require.True(t, b.Take())
			require.False(t, b.Take())
		}
		time.Sleep(time.Hour)
		require.Equal(t, 10, drainBudget(b), "no more than the burst is saved up")
	})
}

func TestBudgetHoldsTheShareOfTenSecondsOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewBudget(policy.BudgetConfig{Share: 0.1})
		second := func(n int) {
			countCalls(b, n)
			time.Sleep(time.Second)
			b.Tokens()
		}
		for range 60 {
			second(1000)
		}
		require.InEpsilon(t, 0.1*10*1000, b.Tokens(), 0.02)
		for range 10 {
			second(0)
		}
		require.InEpsilon(t, 1000/math.E, b.Tokens(), 0.02, "it fades as its calls do")
		for range 60 {
			second(0)
		}
		require.InDelta(t, 10, b.Tokens(), 1e-9)
	})
}

func TestBudgetMeasuresCallsHoweverSeldomItIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewBudget(policy.BudgetConfig{Share: 0.1})
		for range 600 {
			countCalls(b, 1000)
			time.Sleep(time.Second)
		}
		require.InEpsilon(t, 1000, b.Tokens(), 0.02)
	})
}

func TestBudgetRefundIsBoundedByTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewBudget(policy.BudgetConfig{Share: noSource, PerSecond: noSource, Burst: 1})
		require.True(t, b.Take())
		require.False(t, b.Take())
		b.Refund()
		b.Refund()
		require.Equal(t, 1, drainBudget(b))
	})
}

func TestBudgetIsIdleOnceANewOneWouldServeAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewBudget(policy.BudgetConfig{Share: 0.1, PerSecond: 1})
		require.True(t, b.Idle())
		require.True(t, b.Take())
		require.False(t, b.Idle(), "a new one would grant more")
		time.Sleep(time.Second)
		require.True(t, b.Idle())

		countCalls(b, 10_000)
		require.False(t, b.Idle(), "a new one would grant less")
		time.Sleep(time.Minute)
		require.True(t, b.Idle())
	})
}

func TestBudgetNilGrantsEveryRetry(t *testing.T) {
	var b *policy.Budget
	b.Call()
	require.True(t, b.Take())
	b.Refund()
	require.True(t, b.Idle())
	require.True(t, math.IsInf(b.Tokens(), 1))
}

func TestBudgetKeepsToItsBoundUnderAnyTraffic(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			cfg := policy.BudgetConfig{
				Share:     rnd.Float64(),
				PerSecond: rnd.Float64() * 10,
				Burst:     1 + rnd.IntN(50),
			}
			b := policy.NewBudget(cfg)
			began := time.Now()
			offered, granted := 0, 0
			for range 2000 {
				n := rnd.IntN(20)
				countCalls(b, n)
				offered += n
				for range rnd.IntN(20) {
					if b.Take() {
						granted++
					}
				}
				time.Sleep(time.Duration(rnd.ExpFloat64() * float64(50*time.Millisecond)))
				bound := float64(offered)*cfg.Share + time.Since(began).Seconds()*cfg.PerSecond + float64(cfg.Burst)
				require.LessOrEqual(t, float64(granted), bound+1e-3, "seed %d, %+v", seed, cfg)
			}
		})
	}
}

func TestBudgetGrantsNoTokenTwice(t *testing.T) {
	b := policy.NewBudget(policy.BudgetConfig{Share: noSource, PerSecond: noSource, Burst: 100})
	var granted atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				b.Call()
				if b.Take() {
					granted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 100, granted.Load())
}

func TestBudgetMadeOutsideABubbleWorksWithin(t *testing.T) {
	b := policy.NewBudget(policy.BudgetConfig{Share: noSource, PerSecond: 1, Burst: 1})
	synctest.Test(t, func(t *testing.T) { // whose clock is decades behind
		require.True(t, b.Take())
		require.False(t, b.Take())
		time.Sleep(time.Second)
		require.True(t, b.Take())
		require.False(t, b.Take())
	})
}

func TestBudgetConfigReportsAllFaults(t *testing.T) {
	require.NoError(t, policy.BudgetConfig{}.Validate())
	require.NoError(t, policy.BudgetConfig{Share: noSource, PerSecond: noSource}.Validate())
	require.EqualError(t, policy.BudgetConfig{Share: 1.5, PerSecond: math.Inf(1), Burst: -2}.Validate(),
		`share: 1.5: must be between 0 and 1
per_second: +Inf: must be a finite number
burst: -2: must be ≥ 0`)
	require.EqualError(t, policy.BudgetConfig{Share: math.NaN()}.Validate(), "share: NaN: must be between 0 and 1")
	require.Panics(t, func() { policy.NewBudget(policy.BudgetConfig{Burst: -2}) })
}

func TestBudgetAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	b := policy.NewBudget(policy.BudgetConfig{})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		b.Call()
		if b.Take() {
			b.Refund()
		}
	}))
}

func BenchmarkBudgetCall(b *testing.B) {
	budget := policy.NewBudget(policy.BudgetConfig{})
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			budget.Call()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				budget.Call()
			}
		})
	})
}

func BenchmarkBudgetTake(b *testing.B) {
	for _, burst := range []int{1, math.MaxInt32} {
		b.Run(fmt.Sprintf("burst=%d", burst), func(b *testing.B) {
			budget := policy.NewBudget(policy.BudgetConfig{Burst: burst})
			b.ReportAllocs()
			for b.Loop() {
				budget.Call()
				budget.Take()
			}
		})
	}
}
