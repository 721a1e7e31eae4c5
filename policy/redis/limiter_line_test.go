package redislimit_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// Whoever does not wait leaves the line of those who do as it is.
func TestLimitersOfDifferentPatienceShareTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := newFake(t)
		patient := newLimiter(t, newStore(t, client, redislimit.Config{}), policy.RateLimiterConfig{Limit: 10})
		hasty := newLimiter(t, newStore(t, client, redislimit.Config{}), policy.RateLimiterConfig{Limit: 10, MaxWait: -1})
		var passed atomic.Int64
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for range 300 {
			wg.Go(func() {
				if _, err := patient.Admit(ctx); err == nil {
					passed.Add(1)
				}
			})
		}
		for range 3000 { // 3 s
			if _, err := hasty.Admit(ctx); err == nil {
				passed.Add(1)
			}
			time.Sleep(time.Millisecond)
		}
		require.LessOrEqual(t, passed.Load(), int64(10+3*10))
		require.GreaterOrEqual(t, passed.Load(), int64(10+3*10-1))
		cancel()
		wg.Wait()
	})
}

// An hour back, and the line is as long as it was: nobody waits for the hour.
func TestClockThatStepsBackLeavesTheLineAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		l := newLimiter(t, newStore(t, client, redislimit.Config{}), policy.RateLimiterConfig{Limit: 1})
		for range 3 {
			_, err := l.Admit(t.Context())
			require.NoError(t, err)
		}
		f.set(func() { f.clock = -time.Hour })
		began := time.Now()
		_, err := l.Admit(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, time.Since(began), 3*time.Second)
	})
}

// A tenant may have a quota and be called by a Limiter that is called the same.
func TestQuotaLeavesALimiterOfItsNameAlone(t *testing.T) {
	eachMode(t, func(t *testing.T, _ *fakeRedis, s *redislimit.Store) {
		l := newLimiter(t, s, policy.RateLimiterConfig{Limit: 10})
		gate := l.ForKey("acme")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() { _, _ = gate.Admit(ctx) })
		}
		synctest.Wait()
		limits := []policy.StoreLimit{{Name: "payments", Burst: 10, Interval: 100 * time.Millisecond}}
		levels, err := s.Take(ctx, "acme", 1, limits)
		require.NoError(t, err)
		require.Equal(t, 9, levels[0].Remaining)
		hurry, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		_, err = gate.Admit(hurry)
		require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
		cancel()
		wg.Wait()
	})
}
