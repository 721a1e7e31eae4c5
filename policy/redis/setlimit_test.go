package redislimit_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// What was used stays used as a share, and the rate is the new one from now on.
func TestLimitCanBeChanged(t *testing.T) {
	eachMode(t, func(t *testing.T, _ *fakeRedis, s *redislimit.Store) {
		var told journal
		l := newLimiter(t, s, policy.RateLimiterConfig{Limit: 10}, redislimit.WithObserver(&told))
		require.Zero(t, weighing(t, l, 5))
		require.NoError(t, l.SetLimit(100))
		require.Zero(t, weighing(t, l, 50), "half of it was used")
		require.Equal(t, 10*time.Millisecond, weighing(t, l, 1))
		require.Contains(t, told.words(), "rate_limit resize ")
		require.NoError(t, l.SetLimit(1))
		require.Equal(t, time.Second, weighing(t, l, 1))

		n := len(told.words())
		require.NoError(t, l.SetLimit(1))
		require.ErrorContains(t, l.SetLimit(0), "limit: 0: must be ≥ 1")
		require.Len(t, told.words(), n, "nothing has changed")
		require.Equal(t, time.Second, weighing(t, l, 1))
	})
}

// Turns that were left are as far apart as the limit was then, whoever leaves them
// before the change or after it.
func TestTurnsOfAnotherLimitAreNobodys(t *testing.T) {
	eachMode(t, func(t *testing.T, _ *fakeRedis, s *redislimit.Store) {
		l := newLimiter(t, s, policy.RateLimiterConfig{Limit: 100})
		early, leaveEarly := context.WithCancel(t.Context())
		late, leaveLate := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 1100 {
			wg.Go(func() { _, _ = l.Admit([]context.Context{early, late}[i%2]) })
		}
		synctest.Wait()
		leaveEarly()
		synctest.Wait()
		require.NoError(t, l.SetLimit(1))
		leaveLate()
		wg.Wait()
		p := passes{began: time.Now()}
		for range 50 {
			wg.Go(func() {
				if _, err := l.Admit(t.Context()); err == nil {
					p.pass()
				}
			})
		}
		wg.Wait()
		require.NotEmpty(t, p.at)
		require.Equal(t, 1, p.mostWithin(time.Second))
	})
}

func TestLimitThatWasChangedIsShown(t *testing.T) {
	_, client := newFake(t)
	var w watcher
	l := newLimiter(t, newStore(t, client, redislimit.Config{}), policy.RateLimiterConfig{Limit: 10}, redislimit.WithObserver(&w))
	require.NoError(t, l.SetLimit(20))
	require.Equal(t, policy.Status{Policy: policy.PolicyRateLimit, Key: "payments", Limit: 20, Per: time.Second}, w.status(t))
}
