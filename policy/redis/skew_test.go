package redislimit_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// hasty is how many of so many calls pass, that come so often and wait for 10 ms at most.
func hasty(t *testing.T, l *redislimit.Limiter, calls int, every time.Duration) (passed int) {
	t.Helper()
	for range calls {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err := l.Admit(ctx); err == nil {
			passed++
		}
		cancel()
		time.Sleep(every)
	}
	return passed
}

// A call that weighs more than the share of its process is a debt of so much, and of no
// more: it is not what all the others have done.
func TestDebtOfOneProcessIsNotThatOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		cfg := redislimit.Config{OnFailure: redislimit.Local, Replicas: 100}
		s, other := newStore(t, client, cfg), newStore(t, client, cfg)
		limit := policy.RateLimiterConfig{Limit: 100}
		l, others := newLimiter(t, s, limit), newLimiter(t, other, limit)
		f.set(func() { f.err = answeredError("LOADING") })
		require.Zero(t, weighing(t, l, 50), "half a second's worth, and 50 seconds' of the share")
		f.set(func() { f.err = nil })
		back(t, s)
		time.Sleep(time.Second)
		require.Zero(t, weighing(t, l, 1))
		told := f.backlog(`"payments"`)
		require.Greater(t, told, 450*time.Millisecond)
		require.Less(t, told, 510*time.Millisecond)
		require.Equal(t, 3000, hasty(t, others, 3000, 20*time.Millisecond))
	})
}

// A line in one process of ten is a tenth of it in Redis.
func TestLineOfOneProcessIsItsPartOfTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		cfg := redislimit.Config{OnFailure: redislimit.Local, Replicas: 10}
		s, other := newStore(t, client, cfg), newStore(t, client, cfg)
		limit := policy.RateLimiterConfig{Limit: 100}
		l, others := newLimiter(t, s, limit), newLimiter(t, other, limit)
		f.set(func() { f.err = answeredError("LOADING") })
		var wg sync.WaitGroup
		admit := func() {
			_, err := l.Admit(t.Context())
			require.NoError(t, err)
		}
		for range 300 { // in a second, of which it may pass on 10, and 10 at once
			wg.Go(admit)
			time.Sleep(time.Second / 300)
		}
		require.Equal(t, 281, l.Stats().Waiting)
		f.set(func() { f.err = nil })
		back(t, s)
		wg.Go(admit)
		synctest.Wait()
		told := f.backlog(`"payments"`)
		require.Greater(t, told, 2700*time.Millisecond)
		require.Less(t, told, 3*time.Second)
		passed := hasty(t, others, 1000, 20*time.Millisecond)
		require.Greater(t, passed, 880, "all but those of two seconds")
		require.Less(t, passed, 920)
		wg.Wait()
	})
}

// What a client has used in one process, it has used; the shares of the others are its.
func TestQuotaThatWasUsedInOneProcessIsUsedThere(t *testing.T) {
	for _, replicas := range []int{1, 2, 3, 7, 40, 100} {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, client := newFake(t)
				cfg := redislimit.Config{OnFailure: redislimit.Local, Replicas: replicas}
				s, other := newStore(t, client, cfg), newStore(t, client, cfg)
				daily := []policy.StoreLimit{{Name: "daily", Burst: 40, Interval: 24 * time.Hour}}
				share := max(40/replicas, 1)
				f.set(func() { f.err = answeredError("LOADING") })
				for range share {
					taking(t, s, 1, daily, true)
				}
				taking(t, s, 1, daily, false)
				f.set(func() { f.err = nil })
				back(t, s)
				require.Equal(t, 40, taking(t, other, 0, daily, true).Remaining)
				require.Equal(t, 40-share, taking(t, s, 0, daily, true).Remaining)
				require.Equal(t, 40-share, taking(t, other, 0, daily, true).Remaining)
			})
		})
	}
}

// Debts for which Redis has no room are not forgotten: a client gets no more for it
// that some processes knew sooner than others that Redis is back.
func TestDebtWithoutRoomWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		cfg := redislimit.Config{OnFailure: redislimit.Local, Replicas: 2}
		s, other := newStore(t, client, cfg), newStore(t, client, cfg)
		daily := []policy.StoreLimit{{Name: "daily", Burst: 10, Interval: 24 * time.Hour}}
		f.set(func() { f.err = answeredError("LOADING") })
		taking(t, s, 5, daily, true)
		f.set(func() { f.err = nil })
		taking(t, other, 10, daily, true)
		back(t, s)
		for day := range 5 {
			require.Zero(t, taking(t, s, 0, daily, true).Remaining, day)
			taking(t, other, 1, daily, false)
			time.Sleep(24 * time.Hour)
		}
		require.Zero(t, taking(t, s, 0, daily, true).Remaining, "the fifth was told")
		time.Sleep(24 * time.Hour)
		require.Equal(t, 1, taking(t, other, 0, daily, true).Remaining)
	})
}

// Nor does a client pay for more than another bucket, whatever was let pass.
func TestDebtOfAQuotaIsABucketAtMost(t *testing.T) {
	for _, c := range []struct{ replicas, used int }{{10, 10}, {20, 1}, {100, 1}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { debtOfAQuotaIsABucketAtMost(t, c.replicas, c.used) })
		})
	}
}

// debtOfAQuotaIsABucketAtMost has each process use so many units of ten a day.
func debtOfAQuotaIsABucketAtMost(t *testing.T, replicas, used int) {
	t.Helper()
	f, client := newFake(t)
	daily := []policy.StoreLimit{{Name: "daily", Burst: 10, Interval: 24 * time.Hour}}
	var fleet []*redislimit.Store
	for range replicas {
		fleet = append(fleet, newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: replicas}))
	}
	f.set(func() { f.err = answeredError("LOADING") })
	for _, s := range fleet {
		taking(t, s, used, daily, true)
	}
	f.set(func() { f.err = nil })
	for _, s := range fleet {
		back(t, s)
	}
	look := func() (remaining int) {
		for _, s := range fleet {
			remaining = taking(t, s, 0, daily, true).Remaining
		}
		return remaining
	}
	days := 0
	for ; look() == 0; days++ {
		time.Sleep(24 * time.Hour)
	}
	require.LessOrEqual(t, days, 1+9, "a bucket, and what Redis had no room for")
	require.Positive(t, days)
}

// However calls and outages are spread, those who wait and those who do not: what the
// fleet has passed in the end is what the limit says.
func TestFleetPassesWhatTheLimitSays(t *testing.T) {
	for name, offered := range map[string][]int{"even": {0, 1, 2, 3}, "skewed": {0, 0, 0, 0, 0, 0, 1, 2, 3}, "one": {2}} {
		for _, wait := range []time.Duration{-1, 5 * time.Second} {
			t.Run(fmt.Sprint(name, wait), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { fleetPassesWhatTheLimitSays(t, offered, wait) })
			})
		}
	}
}

// fleetPassesWhatTheLimitSays has the processes called in turn as offered says, at five
// times the limit.
func fleetPassesWhatTheLimitSays(t *testing.T, offered []int, wait time.Duration) {
	t.Helper()
	f, client := newFake(t)
	const limit, outages = 40, 4
	var fleet []*redislimit.Limiter
	for range 4 {
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 4})
		fleet = append(fleet, newLimiter(t, s, policy.RateLimiterConfig{Limit: limit, MaxWait: wait}))
	}
	p := passes{began: time.Now()}
	var wg sync.WaitGroup
	for i := range outages*2000 + 4000 { // 60 s
		f.set(func() {
			f.err = nil
			if i < outages*2000 && i%2000 >= 1000 {
				f.err = answeredError("LOADING")
			}
		})
		wg.Go(func() {
			if _, err := fleet[offered[i%len(offered)]].Admit(t.Context()); err == nil {
				p.pass()
			}
		})
		time.Sleep(5 * time.Millisecond)
	}
	took := time.Since(p.began)
	wg.Wait()
	passed := len(slices.DeleteFunc(p.at, func(at time.Duration) bool { return at > took }))
	all := limit + limit*took.Seconds()
	require.LessOrEqual(t, float64(passed), all+outages*limit/5, "but for the moments when some know that Redis is back")
	require.GreaterOrEqual(t, float64(passed), all*3/4)
}
