package policy_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// allowed counts how many pass now without a wait.
func allowed(r *policy.RateLimiter, atMost int) int {
	n := 0
	for n < atMost && r.Allow() {
		n++
	}
	return n
}

// waitFor starts n callers and returns when all of them wait; each sends when
// it passed, since began.
func waitFor(ctx context.Context, r *policy.RateLimiter, n int) (passed chan time.Duration) {
	passed = make(chan time.Duration, n)
	began := time.Now()
	for range n {
		go func() {
			if _, err := r.Admit(ctx); err == nil {
				passed <- time.Since(began)
			}
		}()
		synctest.Wait()
	}
	return passed
}

func TestRateLimiterConfigReportsAllFaults(t *testing.T) {
	cases := map[string]struct {
		config policy.RateLimiterConfig
		faults string
	}{
		"defaults":  {policy.RateLimiterConfig{Limit: 1}, ""},
		"never":     {policy.RateLimiterConfig{Limit: 1, MaxWait: -1}, ""},
		"no limit":  {policy.RateLimiterConfig{}, "limit: 0: must be ≥ 1"},
		"all wrong": {policy.RateLimiterConfig{Limit: -3, Per: -time.Second, Pacing: "jerky", MaxWait: math.MaxInt64}, "limit: -3: must be ≥ 1\nper: -1s: must be > 0\npacing: \"jerky\": must be \"bursty\" or \"smooth\"\nmax_wait: 2562047h47m16.854775807s: must be ≤ 8760h0m0s"},
		"too fine":  {policy.RateLimiterConfig{Limit: 1001, Per: time.Microsecond}, "limit: 1001: must be ≤ one per nanosecond of per (1µs)"},
		"too long":  {policy.RateLimiterConfig{Limit: 1, Per: math.MaxInt64}, "per: 2562047h47m16.854775807s: must be ≤ 8760h0m0s"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.config.Validate()
			if c.faults == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.faults)
			require.Panics(t, func() { policy.NewRateLimiter(c.config) })
		})
	}
}

func TestRateLimiterGivesItsBurstOncePerPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.PerSecond(3)
		require.Equal(t, 3, allowed(r, 100))
		time.Sleep(999 * time.Millisecond)
		require.Zero(t, allowed(r, 100))
		time.Sleep(time.Millisecond)
		require.Equal(t, 3, allowed(r, 100))
	})
}

func TestRateLimiterPassesWaitersInTheirOrderAndPeriod(t *testing.T) {
	cases := map[string]struct {
		config policy.RateLimiterConfig
		passed []time.Duration
	}{
		"bursty": {policy.RateLimiterConfig{Limit: 2}, []time.Duration{0, 0, time.Second, time.Second, 2 * time.Second}},
		"smooth": {
			policy.RateLimiterConfig{Limit: 2, Pacing: policy.PacingSmooth},
			[]time.Duration{0, 500 * time.Millisecond, time.Second, 1500 * time.Millisecond, 2 * time.Second},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				passed := waitFor(t.Context(), policy.NewRateLimiter(c.config), len(c.passed))
				for _, want := range c.passed {
					require.Equal(t, want, <-passed)
				}
			})
		})
	}
}

func TestSmoothLimiterRoundsItsSlotsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 3, Per: 10, Pacing: policy.PacingSmooth})
		require.True(t, r.Allow())
		time.Sleep(3)
		require.False(t, r.Allow())
		time.Sleep(1)
		require.True(t, r.Allow())
	})
}

func TestRateLimiterRefusesAtOnceWhatDoesNotFit(t *testing.T) {
	cases := map[string]struct {
		maxWait  time.Duration
		deadline time.Duration
		fits     bool
	}{
		"fits the default":     {fits: true},
		"fits just":            {maxWait: 900 * time.Millisecond, fits: true},
		"longer than MaxWait":  {maxWait: 899 * time.Millisecond},
		"never waits":          {maxWait: -1},
		"fits the deadline":    {deadline: 901 * time.Millisecond, fits: true},
		"due at the deadline":  {deadline: 900 * time.Millisecond},
		"beyond the deadline":  {deadline: 10 * time.Millisecond},
		"deadline and MaxWait": {deadline: time.Second, maxWait: time.Millisecond},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 1, MaxWait: c.maxWait}, policy.WithKey("db"))
				require.True(t, r.Allow())
				time.Sleep(100 * time.Millisecond)

				ctx := t.Context()
				if c.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
					defer cancel()
				}
				began := time.Now()
				_, err := r.Admit(ctx)
				if c.fits {
					require.NoError(t, err)
					require.Equal(t, 900*time.Millisecond, time.Since(began))
					return
				}
				require.Zero(t, time.Since(began))
				require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
				require.True(t, policy.Refused(err))
				require.Equal(t, &policy.Error{
					Reason:     policy.ReasonRateLimit,
					Policy:     policy.PolicyRateLimit,
					Key:        "db",
					RetryAfter: 900 * time.Millisecond,
				}, err)
			})
		})
	}
}

func TestRefusalsCostNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 2, MaxWait: -1})
		for range 5 {
			require.Equal(t, 2, allowed(r, 100))
			for range 100 {
				require.False(t, r.Allow())
				_, err := r.Admit(t.Context())
				require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestRateLimiterTakesNothingForACallerWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		r := policy.PerSecond(1)
		_, err := r.Admit(ctx)
		require.Equal(t, gone, err)
		require.True(t, r.Allow())
	})
}

func TestRateLimiterGivesBackWhatACancelledWaiterReserved(t *testing.T) {
	for _, pacing := range []policy.Pacing{policy.PacingBursty, policy.PacingSmooth} {
		t.Run(string(pacing), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gone := errors.New("gone")
				r := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 1, Pacing: pacing})
				require.True(t, r.Allow())
				ctx, cancel := context.WithCancelCause(t.Context())
				refused := make(chan error, 20)
				for range 20 {
					go func() {
						_, err := r.Admit(ctx)
						refused <- err
					}()
				}
				synctest.Wait()
				require.Equal(t, 20, r.Stats().Waiting)
				cancel(gone)
				for range 20 {
					require.Equal(t, gone, <-refused)
				}

				passed := waitFor(t.Context(), r, 3)
				for i := range 3 {
					require.Equal(t, time.Duration(i+1)*time.Second, <-passed)
				}
				require.Equal(t, policy.RateLimiterStats{Limit: 1, Per: time.Second, Admitted: 4, Canceled: 20}, r.Stats())
			})
		})
	}
}

func TestReturnedTurnIsGoodInItsOwnPeriodOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.PerSecond(2)
		require.Equal(t, 2, allowed(r, 2))
		ctx, cancel := context.WithCancel(t.Context())
		waitFor(ctx, r, 6) // two in each of the next three periods
		cancel()
		synctest.Wait()
		time.Sleep(2500 * time.Millisecond) // the first period's two are gone
		for range 3 {
			require.Equal(t, 2, allowed(r, 100))
			time.Sleep(time.Second)
		}
	})
}

func TestRateLimiterSavesNothingUpWhileIdleAfterADebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.PerSecond(3)
		require.Equal(t, 3, allowed(r, 3))
		<-waitFor(t.Context(), r, 1)
		time.Sleep(time.Hour)
		require.Equal(t, 3, allowed(r, 1000))
	})
}

func TestRateLimiterDoRunsOpInItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 1, Per: time.Minute})
		failed := errors.New("failed")
		require.Equal(t, failed, r.Do(t.Context(), func(context.Context) error { return failed }))
		err := r.Do(t.Context(), func(context.Context) error {
			t.Error("ran though refused")
			return nil
		})
		require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
	})
}

func TestSetLimitCountsWhatThePeriodHasSeen(t *testing.T) {
	cases := map[string]struct {
		used, to  int
		now, next int
	}{
		"raised while unused": {used: 0, to: 20, now: 20, next: 20},
		"raised":              {used: 4, to: 20, now: 16, next: 20},
		"raised while empty":  {used: 10, to: 20, now: 10, next: 20},
		"lowered":             {used: 4, to: 7, now: 3, next: 7},
		"lowered below":       {used: 8, to: 7, now: 0, next: 7},
		"lowered to one":      {used: 10, to: 1, now: 0, next: 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := policy.PerMinute(10)
				require.Equal(t, c.used, allowed(r, c.used))
				time.Sleep(59 * time.Second)
				require.NoError(t, r.SetLimit(c.to))
				require.Equal(t, c.now, allowed(r, 1000))
				if c.used > 0 {
					time.Sleep(time.Second) // the periods go on as they were
				} else {
					time.Sleep(time.Minute)
				}
				require.Equal(t, c.next, allowed(r, 1000))
				require.Equal(t, c.to, r.Stats().Limit)
			})
		})
	}
}

func TestSetLimitThereAndBackGivesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.PerMinute(10)
		require.Equal(t, 10, allowed(r, 100))
		for range 20 {
			time.Sleep(time.Second)
			require.NoError(t, r.SetLimit(1))
			require.Zero(t, allowed(r, 100))
			require.NoError(t, r.SetLimit(10))
			require.Zero(t, allowed(r, 100))
		}
		time.Sleep(40 * time.Second)
		require.Equal(t, 10, allowed(r, 100))
	})
}

func TestSetLimitOfASmoothLimiterSpacesFromTheLastTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 1, Per: time.Minute, Pacing: policy.PacingSmooth})
		require.True(t, r.Allow())
		time.Sleep(time.Second)
		require.NoError(t, r.SetLimit(6))
		require.False(t, r.Allow())
		time.Sleep(9 * time.Second)
		require.Equal(t, 1, allowed(r, 10))
		require.NoError(t, r.SetLimit(2))
		time.Sleep(29 * time.Second)
		require.False(t, r.Allow())
		time.Sleep(time.Second)
		require.Equal(t, 1, allowed(r, 10))
	})
}

func TestSetLimitGivesWaitersANewTurnInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.PerSecond(1)
		require.True(t, r.Allow())
		var mu sync.Mutex
		var order []int
		began := time.Now()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				_, err := r.Admit(t.Context())
				require.NoError(t, err)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			})
			synctest.Wait()
		}
		require.NoError(t, r.SetLimit(6)) // five now, six each second
		synctest.Wait()
		require.ElementsMatch(t, []int{0, 1, 2, 3, 4}, order)
		time.Sleep(time.Second)
		synctest.Wait()
		require.ElementsMatch(t, []int{5, 6, 7, 8, 9, 10}, order[5:])
		all.Wait()
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Equal(t, policy.RateLimiterStats{Limit: 6, Per: time.Second, Admitted: 21}, r.Stats())
	})
}

func TestSetLimitRefusesWaitersWhoNoLongerFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 10, MaxWait: 2 * time.Second})
		require.Equal(t, 10, allowed(r, 10))
		refused := make(chan error, 20)
		for range 20 {
			go func() {
				_, err := r.Admit(t.Context())
				refused <- err
			}()
		}
		synctest.Wait()
		require.NoError(t, r.SetLimit(1))
		synctest.Wait()
		require.Len(t, refused, 18)
		for range 18 {
			var e *policy.Error
			require.ErrorAs(t, <-refused, &e)
			require.Equal(t, policy.ReasonRateLimit, e.Reason)
			require.Equal(t, 3*time.Second, e.RetryAfter)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.NoError(t, <-refused)
		require.NoError(t, <-refused)
		require.Equal(t, policy.RateLimiterStats{Limit: 1, Per: time.Second, Admitted: 12, Refused: 18}, r.Stats())
	})
}

func TestSetLimitLeavesTurnsThatHaveCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.PerSecond(50)
		require.Equal(t, 50, allowed(r, 50))
		passed := waitFor(t.Context(), r, 50)
		time.Sleep(time.Second)
		require.NoError(t, r.SetLimit(40)) // at the very moment
		require.Zero(t, allowed(r, 100))
		for range 50 {
			require.Equal(t, time.Second, <-passed)
		}
	})
}

// A turn of before the change is none of the new limit's.
func TestWaitersWhoCancelWhileTheLimitChangesAddNoTurns(t *testing.T) {
	for name, after := range map[string]time.Duration{"turn has come": time.Second, "turn is moved": 500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 50, MaxWait: time.Second})
				require.Equal(t, 50, allowed(r, 50))
				ctx, cancel := context.WithCancel(t.Context())
				waitFor(ctx, r, 50)
				time.Sleep(after)
				require.NoError(t, r.SetLimit(10))
				cancel()
				synctest.Wait()
				s := r.Stats()
				require.EqualValues(t, 100, s.Admitted+s.Refused+s.Canceled)
				require.Zero(t, s.Waiting)
				require.Zero(t, allowed(r, 100))
				for range 3 {
					time.Sleep(time.Second)
					require.Equal(t, 10, allowed(r, 100))
				}
			})
		})
	}
}

func TestWaitersWhoCancelAsTheirTurnComesAddNoTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.PerSecond(100)
		require.Equal(t, 100, allowed(r, 100))
		ctx, cancel := context.WithCancel(t.Context())
		waitFor(ctx, r, 100)
		time.Sleep(500 * time.Millisecond)
		require.NoError(t, r.SetLimit(50))
		time.Sleep(500 * time.Millisecond)
		require.False(t, r.Allow(), "the period is booked")
		cancel()
		synctest.Wait()
		for range 3 {
			time.Sleep(time.Second)
			require.Equal(t, 50, allowed(r, 1000))
		}
	})
}

func TestSetLimitKeepsTheOldOnAFault(t *testing.T) {
	r := policy.PerSecond(5)
	require.EqualError(t, r.SetLimit(0), "limit: 0: must be ≥ 1")
	require.Equal(t, 5, r.Stats().Limit)
}

// However the limit is changed and callers come and go, no step (a period, or a
// slot) sees more than the largest limit allows: a time span touches at most one
// step more than it is long.
func TestNoPeriodGetsMoreThanTheLargestLimit(t *testing.T) {
	const most, calls = 8, 400
	run := func(t *testing.T, rnd *rand.Rand, pacing policy.Pacing, burst int, step time.Duration) {
		r := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: most, Pacing: pacing})
		passed := make(chan time.Duration, calls)
		began := time.Now()
		var all sync.WaitGroup
		for range calls {
			switch rnd.IntN(12) {
			case 0:
				require.NoError(t, r.SetLimit(1+rnd.IntN(most)))
			case 1:
				time.Sleep(time.Duration(rnd.IntN(300)) * time.Millisecond)
			default:
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+rnd.IntN(4000))*time.Millisecond)
				stop := time.AfterFunc(time.Duration(rnd.IntN(4000))*time.Millisecond, cancel)
				all.Go(func() {
					defer cancel()
					defer stop.Stop()
					if _, err := r.Admit(ctx); err == nil {
						passed <- time.Since(began)
					}
				})
				synctest.Wait()
			}
		}
		all.Wait()
		close(passed)

		var at []time.Duration
		for p := range passed {
			at = append(at, p)
		}
		slices.Sort(at)
		require.Greater(t, len(at), most)
		for i := range at {
			for j := i; j < len(at); j++ {
				steps := int((at[j]-at[i]+step-1)/step) + 1
				require.LessOrEqual(t, j-i+1, burst*steps, "from %v to %v", at[i], at[j])
			}
		}
		require.Equal(t, uint64(len(at)), r.Stats().Admitted)
		require.Zero(t, r.Stats().Waiting)
	}
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run(t, rand.New(rand.NewPCG(seed, 1)), policy.PacingBursty, most, time.Second)
				run(t, rand.New(rand.NewPCG(seed, 2)), policy.PacingSmooth, 1, time.Second/most)
			})
		})
	}
}

func TestRateLimiterIsIdleWhenANewOneWouldDoTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.PerSecond(2)
		require.True(t, r.Idle())
		require.True(t, r.Idle(), "asking takes nothing")
		require.True(t, r.Allow())
		require.False(t, r.Idle())
		time.Sleep(time.Second)
		require.True(t, r.Idle())
		require.Equal(t, 2, allowed(r, 100))

		ctx, cancel := context.WithCancel(t.Context())
		waitFor(ctx, r, 1)
		require.False(t, r.Idle(), "one waits")
		cancel()
		synctest.Wait()
		require.False(t, r.Idle(), "its turn is still booked")
		time.Sleep(2 * time.Second)
		require.True(t, r.Idle())

		require.Equal(t, 1, allowed(r, 1))
		require.NoError(t, r.SetLimit(5))
		require.False(t, r.Idle())
		time.Sleep(time.Second)
		require.True(t, r.Idle())
	})
}

func TestRateLimiterTellsItsDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told recorder
		r := policy.PerSecond(1, policy.WithObserver(&told), policy.WithKey("db"))
		start := time.Now()
		for range 2 {
			_, err := r.Admit(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, []policy.Decision{
			{Policy: policy.PolicyRateLimit, Action: policy.ActionAdmit, Key: "db", Began: start, Limit: 1},
			{Policy: policy.PolicyRateLimit, Action: policy.ActionWait, Key: "db", Began: start, Took: time.Second, Limit: 1},
			{Policy: policy.PolicyRateLimit, Action: policy.ActionAdmit, Key: "db", Began: start.Add(time.Second), Limit: 1},
		}, told.all)

		require.False(t, r.Allow())
		require.Equal(t, policy.ActionRefuse, told.last().Action)
		require.Equal(t, time.Second, told.last().RetryAfter)
		require.ErrorIs(t, told.last().Err, policy.ErrRateLimitExceeded)

		ctx, cancel := context.WithCancel(t.Context())
		waitFor(ctx, r, 1)
		time.Sleep(time.Millisecond)
		cancel()
		synctest.Wait()
		require.Equal(t, policy.ActionWait, told.last().Action)
		require.Equal(t, policy.ReasonCanceled, told.last().Reason)
		require.Equal(t, time.Millisecond, told.last().Took)
		require.Equal(t, context.Canceled, told.last().Err)

		require.NoError(t, r.SetLimit(1), "no change, no decision")
		require.Equal(t, policy.ActionWait, told.last().Action)
		require.NoError(t, r.SetLimit(3))
		require.Equal(t, policy.ActionResize, told.last().Action)
		require.Equal(t, 3, told.last().Limit)
	})
}

func TestRateLimiterTellsNothingWhileNobodyLooks(t *testing.T) {
	r := policy.PerSecond(1, policy.WithObserver(blind{t}))
	require.True(t, r.Allow())
	require.False(t, r.Allow())
	require.NoError(t, r.SetLimit(2))
}

// blind is an observer that never looks.
type blind struct{ t *testing.T }

func (blind) Enabled(context.Context) bool                   { return false }
func (b blind) Observe(_ context.Context, d policy.Decision) { b.t.Errorf("told %v", d.Action) }

func TestRateLimiterCountsEveryCallerUnderRace(t *testing.T) {
	r := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 1000, Per: time.Hour, MaxWait: -1})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 500 {
				_, _ = r.Admit(t.Context())
				if i%100 == 0 {
					_ = r.SetLimit(1000 + i)
				}
				_ = r.Stats()
			}
		})
	}
	all.Wait()
	s := r.Stats()
	require.EqualValues(t, 4000, s.Admitted+s.Refused)
	require.LessOrEqual(t, s.Admitted, uint64(1400))
	require.GreaterOrEqual(t, s.Admitted, uint64(1000))
}

func TestRateLimiterAllocatesOnlyToWait(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := context.Background()
	free := policy.PerSecond(1e9)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		p, _ := free.Admit(ctx)
		p.Done(ctx, policy.Success)
	}))
	spent := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: -1})
	require.True(t, spent.Allow())
	require.Zero(t, testing.AllocsPerRun(1000, func() { spent.Allow() }))
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { _, _ = spent.Admit(ctx) }), 1.0)
}
