package redislimit_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// A debt is added to what Redis knows: so it is told by one of those who ask, be they
// on one trip or on several.
func TestDebtIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s, hourly := indebted(t, 4)
		f.set(func() { f.delay = 100 * time.Millisecond })
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { taking(t, s, 0, hourly, true) })
		}
		wg.Wait()
		require.Equal(t, 6, taking(t, s, 0, hourly, true).Remaining)
	})
}

// What is taken here while a debt is on its way is another debt.
func TestWhatIsTakenAfterTheTellingStaysOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s, hourly := indebted(t, 4)
		f.set(func() { f.delay = 200 * time.Millisecond })
		var wg sync.WaitGroup
		for range 4 { // as many trips as there may be
			wg.Go(func() { taking(t, s, 0, hourly, true) })
		}
		synctest.Wait()
		hurry, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		levels, err := s.Take(hurry, "alice", 3, hourly) // its trip never begins
		require.NoError(t, err)
		require.Equal(t, 3, levels[0].Remaining)
		wg.Wait()
		require.Equal(t, 3, taking(t, s, 0, hourly, true).Remaining)
	})
}

// Whoever could not wait for Redis, which has counted it after all, is counted once.
func TestCallThatWasAnsweredTooLateIsCountedOnce(t *testing.T) {
	for _, room := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f, client := newFake(t)
			s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 4, Timeout: time.Second})
			other := newStore(t, client, redislimit.Config{})
			hourly := perHour(40)
			if !room {
				taking(t, other, 40, hourly, true)
			}
			f.set(func() { f.delay = 200 * time.Millisecond })
			hurry, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			levels, err := s.Take(hurry, "alice", 3, hourly)
			require.NoError(t, err)
			require.Equal(t, 7, levels[0].Remaining, "of its share")
			time.Sleep(time.Second)
			f.set(func() { f.delay = 0 })
			if room {
				require.Equal(t, 37, taking(t, s, 0, hourly, true).Remaining)
				return
			}
			taking(t, s, 0, hourly, true)
			time.Sleep(3*time.Hour/40 - 2*time.Second)
			require.Zero(t, taking(t, s, 0, hourly, true).Remaining, "Redis has not counted it, so it is owed")
		})
	}
}

// However a trip ends that told of a debt: if it has no answer, the next one tells it.
func TestDebtIsOwedAgainWithoutAnAnswer(t *testing.T) {
	for name, fail := range map[string]func(f *fakeRedis, c *clientThatFails){
		"error":      func(f *fakeRedis, _ *clientThatFails) { f.set(func() { f.err = answeredError("OOM") }) },
		"wrong type": func(f *fakeRedis, _ *clientThatFails) { f.set(func() { f.err = answeredError("WRONGTYPE") }) },
		"connection": func(f *fakeRedis, _ *clientThatFails) { f.set(func() { f.fault = context.DeadlineExceeded }) },
		"reply":      func(f *fakeRedis, _ *clientThatFails) { f.set(func() { f.reply = "OK" }) },
		"panic":      func(_ *fakeRedis, c *clientThatFails) { c.fails.Store(new(func() { panic("a hook") })) },
		"end":        func(_ *fakeRedis, c *clientThatFails) { c.fails.Store(new(runtime.Goexit)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, client := newFake(t)
				c := &clientThatFails{Client: client}
				s := newStore(t, c, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1})
				f.set(func() { f.err = answeredError("LOADING") })
				taking(t, s, 4, perHour(10), true)
				f.set(func() { f.err = nil })
				back(t, s)
				fail(f, c)
				taking(t, s, 1, perHour(10), true)
				f.set(func() { f.err, f.fault, f.reply = nil, nil, nil })
				c.fails.Store(nil)
				back(t, s)
				require.Equal(t, 5, taking(t, s, 0, perHour(10), true).Remaining)
				require.Equal(t, 5, taking(t, s, 0, perHour(10), true).Remaining)
			})
		})
	}
}

// clientThatFails does what it is told in the place of a trip.
type clientThatFails struct {
	redislimit.Client

	fails atomic.Pointer[func()]
}

func (c *clientThatFails) Pipeline() redis.Pipeliner {
	if fail := c.fails.Load(); fail != nil {
		(*fail)()
	}
	return c.Client.Pipeline()
}

// An answer that comes too late leaves it open whether Redis has learnt of a debt: it
// learns of it again, but not again and again.
func TestDebtThatWasToldInVainIsToldTwiceAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 4})
		other := newStore(t, client, redislimit.Config{})
		daily := []policy.StoreLimit{{Name: "daily", Burst: 1000, Interval: 24 * time.Hour / 1000}}
		f.set(func() { f.err = answeredError("LOADING") })
		taking(t, s, 50, daily, true)
		f.set(func() { f.err = nil })
		var left []int
		for range 20 {
			back(t, s)
			f.set(func() { f.delay = 150 * time.Millisecond })
			taking(t, s, 0, daily, true)
			time.Sleep(time.Second)
			f.set(func() { f.delay = 0 })
			left = append(left, taking(t, other, 0, daily, true).Remaining)
		}
		require.Equal(t, []int{950, 900}, left[:2])
		require.Equal(t, 900, left[19])
	})
}

// What of a debt has no room in a line is told later: the line is no longer for it than
// its callers may wait, and who would have to wait longer is told how long.
func TestDebtMakesALineNoLongerThanItMayBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		hourly := policy.RateLimiterConfig{Limit: 10, Per: time.Hour, MaxWait: time.Hour}
		require.Zero(t, weighing(t, newLimiter(t, newStore(t, client, redislimit.Config{}), hourly), 10))
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1})
		l := newLimiter(t, s, hourly)
		f.set(func() { f.err = answeredError("LOADING") })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 20 { // ten at once, and ten who wait
			wg.Go(func() { _, _ = l.Admit(ctx) })
		}
		synctest.Wait()
		f.set(func() { f.err = nil })
		began := time.Now()
		back(t, s)
		_, err := l.Admit(t.Context())
		refusal, ok := errors.AsType[*policy.Error](err)
		require.True(t, ok)
		require.Equal(t, policy.ReasonRateLimit, refusal.Reason)
		require.Equal(t, 2*time.Hour, f.backlog(`"payments"`))
		require.InDelta(t, (2*time.Hour + 6*time.Minute).Seconds(), (refusal.RetryAfter + time.Since(began)).Seconds(), 1)
		cancel()
		wg.Wait()
	})
}
