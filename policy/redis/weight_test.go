package redislimit_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// eachMode runs a test with Redis, and with a process that counts all by itself.
func eachMode(t *testing.T, test func(t *testing.T, f *fakeRedis, s *redislimit.Store)) {
	for _, mode := range []string{"Redis", "local"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, client := newFake(t)
				if mode == "local" {
					f.err = answeredError("LOADING")
				}
				test(t, f, newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1}))
			})
		})
	}
}

// weighing is how long a call of so many units waits.
func weighing(t *testing.T, l *redislimit.Limiter, units int) time.Duration {
	t.Helper()
	began := time.Now()
	_, err := l.Admit(redislimit.ContextWithWeight(t.Context(), units))
	require.NoError(t, err)
	return time.Since(began)
}

func TestWeightIsSoManyTurnsInARow(t *testing.T) {
	eachMode(t, func(t *testing.T, _ *fakeRedis, s *redislimit.Store) {
		l := newLimiter(t, s, policy.RateLimiterConfig{Limit: 10})
		require.Zero(t, weighing(t, l, 7))
		require.Equal(t, 100*time.Millisecond, weighing(t, l, 4))
		require.Equal(t, 100*time.Millisecond, weighing(t, l, 1))
		time.Sleep(time.Second)
		require.Zero(t, weighing(t, l, 10))
		time.Sleep(time.Second)
		require.Equal(t, 1500*time.Millisecond, weighing(t, l, 25), "more than the limit")
		require.Equal(t, 100*time.Millisecond, weighing(t, l, 1))
	})
}

func TestWeightOfASmoothLimiterIsSoManySlots(t *testing.T) {
	eachMode(t, func(t *testing.T, _ *fakeRedis, s *redislimit.Store) {
		l := newLimiter(t, s, policy.RateLimiterConfig{Limit: 10, Pacing: policy.PacingSmooth})
		began := time.Now()
		weighing(t, l, 5)
		weighing(t, l, 5)
		require.Equal(t, 900*time.Millisecond, time.Since(began))
	})
}

func TestWhatWeighsNothingIsFree(t *testing.T) {
	eachMode(t, func(t *testing.T, f *fakeRedis, s *redislimit.Store) {
		l := newLimiter(t, s, policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: -1})
		require.Zero(t, weighing(t, l, 1))
		asked := f.tripped()
		for _, n := range []int{0, -1, math.MinInt} {
			require.Zero(t, weighing(t, l, n))
		}
		require.Equal(t, asked, f.tripped())
		require.Equal(t, redislimit.LimiterStats{Admitted: 4}, l.Stats())
		ctx, cancel := context.WithCancel(redislimit.ContextWithWeight(t.Context(), 0))
		cancel()
		_, err := l.Admit(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// Those who could wait, but not for so long, are told how long it would have been.
func TestWhatCanNeverPassIsRefusedAtOnce(t *testing.T) {
	eachMode(t, func(t *testing.T, f *fakeRedis, s *redislimit.Store) {
		patient := newLimiter(t, s, policy.RateLimiterConfig{Limit: 10, MaxWait: 3 * time.Second})
		hasty := newLimiter(t, s, policy.RateLimiterConfig{Limit: 10, MaxWait: -1})
		asked := f.tripped()
		refusal := func(l *redislimit.Limiter, units int) *policy.Error {
			_, err := l.Admit(redislimit.ContextWithWeight(t.Context(), units))
			require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
			refusal, ok := errors.AsType[*policy.Error](err)
			require.True(t, ok)
			return refusal
		}
		for _, units := range []int{11, 41, math.MaxInt} {
			require.Zero(t, refusal(hasty, units).RetryAfter)
			if units > 40 {
				require.Zero(t, refusal(patient, units).RetryAfter)
			}
		}
		require.Equal(t, asked, f.tripped(), "Redis need not know")
		require.Zero(t, weighing(t, hasty, 10))
		require.Equal(t, 4*time.Second, refusal(patient, 40).RetryAfter)
		require.Equal(t, 3*time.Second, weighing(t, patient, 30), "a refusal takes nothing")
	})
}

// What is more than the share of a process, and would pass at once in Redis, passes
// as soon as the share is full; the rest is a debt.
func TestWeightAboveTheShareOfAProcessLeavesADebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.err = answeredError("LOADING")
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 4})
		l := newLimiter(t, s, policy.RateLimiterConfig{Limit: 8})
		require.Zero(t, weighing(t, l, 8))
		require.Equal(t, 3500*time.Millisecond, weighing(t, l, 1), "the share is 2 a second")
		time.Sleep(time.Second)
		require.Equal(t, time.Second, weighing(t, l, 10), "two over the limit are waited for")
	})
}

// A heavy turn that is left serves several, as far as it goes.
func TestTurnThatIsLeftIsOfAllItsUnits(t *testing.T) {
	eachMode(t, func(t *testing.T, f *fakeRedis, s *redislimit.Store) {
		l := newLimiter(t, s, policy.RateLimiterConfig{Limit: 10})
		require.Zero(t, weighing(t, l, 10))
		ctx, cancel := context.WithCancel(redislimit.ContextWithWeight(t.Context(), 5))
		time.AfterFunc(100*time.Millisecond, cancel)
		_, err := l.Admit(ctx)
		require.ErrorIs(t, err, context.Canceled)
		asked := f.tripped()
		began := time.Now()
		var wg sync.WaitGroup
		for _, units := range []int{2, 3} {
			wg.Go(func() {
				_, err := l.Admit(redislimit.ContextWithWeight(t.Context(), units))
				require.NoError(t, err)
				require.Equal(t, 400*time.Millisecond, time.Since(began))
			})
		}
		wg.Wait()
		require.Equal(t, asked, f.tripped())
		require.Equal(t, 100*time.Millisecond, weighing(t, l, 1))
	})
}
