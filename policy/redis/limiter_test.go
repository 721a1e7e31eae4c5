package redislimit_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

func newLimiter(t *testing.T, s *redislimit.Store, cfg policy.RateLimiterConfig, opts ...redislimit.Option) *redislimit.Limiter {
	t.Helper()
	l, err := redislimit.NewLimiter(s, "payments", cfg, opts...)
	require.NoError(t, err)
	return l
}

// Turns are the fleet's: nobody asks twice, and nobody is late or early.
func TestLimiterGivesTurnsAcrossTheFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		var wg sync.WaitGroup
		var passed atomic.Int64
		began := time.Now()
		for range 4 {
			l := newLimiter(t, newStore(t, client, redislimit.Config{}), policy.RateLimiterConfig{Limit: 100})
			for range 100 {
				wg.Go(func() {
					_, err := l.Admit(t.Context())
					require.NoError(t, err)
					n := passed.Add(1)
					require.LessOrEqual(t, n, 100+int64(time.Since(began)/(10*time.Millisecond)))
				})
			}
		}
		wg.Wait()
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Len(t, f.asked(), 400, "once each")
	})
}

func TestLimiterWaitsNoLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := newFake(t)
		var told journal
		l := newLimiter(t, newStore(t, client, redislimit.Config{}), policy.RateLimiterConfig{Limit: 1, MaxWait: 2 * time.Second},
			redislimit.WithObserver(&told))
		_, err := l.Admit(t.Context())
		require.NoError(t, err)
		hurry, cancel := context.WithTimeout(t.Context(), 999*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err = l.Admit(hurry)
		require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
		require.Zero(t, time.Since(began))
		refusal, ok := errors.AsType[*policy.Error](err)
		require.True(t, ok)
		require.Equal(t, time.Second, refusal.RetryAfter)

		var wg sync.WaitGroup
		var passed, refused atomic.Int64
		for range 5 {
			wg.Go(func() {
				if _, err := l.Admit(t.Context()); err == nil {
					passed.Add(1)
				} else {
					require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 2, passed.Load())
		require.EqualValues(t, 3, refused.Load())
		require.Equal(t, redislimit.LimiterStats{Admitted: 3, Refused: 4}, l.Stats())
		require.Contains(t, told.words(), "rate_limit wait ")
		require.Contains(t, told.words(), "rate_limit admit ")
		require.Contains(t, told.words(), "rate_limit refuse rate_limit")
	})
}

func TestWhoLeavesGivesItsTurnBack(t *testing.T) {
	for _, down := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f, client := newFake(t)
			if down {
				f.err = answeredError("LOADING")
			}
			s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1})
			l := newLimiter(t, s, policy.RateLimiterConfig{Limit: 1})
			_, err := l.Admit(t.Context())
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(500*time.Millisecond, cancel)
			_, err = l.Admit(ctx)
			require.ErrorIs(t, err, context.Canceled)
			require.EqualValues(t, 1, l.Stats().Canceled)
			synctest.Wait()
			began := time.Now()
			_, err = l.Admit(t.Context())
			require.NoError(t, err)
			require.Equal(t, 500*time.Millisecond, time.Since(began))
		})
	}
}

func TestTurnThatComesTooLateAfterAllIsLeftToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.delay = 50 * time.Millisecond
		l := newLimiter(t, newStore(t, client, redislimit.Config{}), policy.RateLimiterConfig{Limit: 1})
		_, err := l.Admit(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 970*time.Millisecond)
		defer cancel()
		_, err = l.Admit(ctx)
		require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
		began := time.Now()
		_, err = l.Admit(t.Context())
		require.NoError(t, err)
		require.Equal(t, 950*time.Millisecond, time.Since(began))
	})
}

func TestSmoothLimiterLetsNothingPassAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := newFake(t)
		l := newLimiter(t, newStore(t, client, redislimit.Config{}), policy.RateLimiterConfig{Limit: 10, Pacing: policy.PacingSmooth})
		began := time.Now()
		for range 5 {
			require.NoError(t, l.Do(t.Context(), func(context.Context) error { return nil }))
		}
		require.Equal(t, 400*time.Millisecond, time.Since(began))
	})
}

// What the documentation says of turns that are no whole number of microseconds.
func TestTurnsAreWholeMicrosecondsApart(t *testing.T) {
	for limit, left := range map[int]int{
		100: 100, 3000: 2994, 125_000: 125_000, 300_000: 250_000, 700_000: 500_000, 1_000_000: 1_000_000, 5_000_000: 1_000_000,
	} {
		synctest.Test(t, func(t *testing.T) {
			_, client := newFake(t)
			l := newLimiter(t, newStore(t, client, redislimit.Config{}), policy.RateLimiterConfig{Limit: limit, Pacing: policy.PacingSmooth})
			began := time.Now()
			for range 11 {
				_, err := l.Admit(t.Context())
				require.NoError(t, err)
			}
			require.Equalf(t, left, int(10*time.Second/time.Since(began)), "%d", limit)
		})
	}
}

func TestLimiterCountsEachKeyForItself(t *testing.T) {
	_, client := newFake(t)
	l := newLimiter(t, newStore(t, client, redislimit.Config{}), policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: -1})
	for _, key := range []string{"", "a.example", "b.example"} {
		_, err := l.ForKey(key).Admit(t.Context())
		require.NoError(t, err)
		_, err = l.ForKey(key).Admit(t.Context())
		require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
		require.ErrorContains(t, err, key)
	}
	_, err := l.Admit(t.Context())
	require.ErrorIs(t, err, policy.ErrRateLimitExceeded, "it is its own key")
	require.ErrorContains(t, err, "payments")
}

func TestLimiterWithoutRedisDoesAsItIsTold(t *testing.T) {
	for mode, want := range map[redislimit.OnFailure]redislimit.LimiterStats{
		redislimit.Open:   {Bypassed: 5},
		redislimit.Closed: {Refused: 5},
		redislimit.Local:  {Admitted: 2, Refused: 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, client := newFake(t)
			f.err = answeredError("OOM")
			var told journal
			s := newStore(t, client, redislimit.Config{OnFailure: mode, Replicas: 2}, redislimit.WithObserver(&told))
			l := newLimiter(t, s, policy.RateLimiterConfig{Limit: 4, MaxWait: -1}, redislimit.WithObserver(&told))
			for range 5 {
				_, err := l.Admit(t.Context())
				if mode == redislimit.Closed {
					require.ErrorIs(t, err, policy.ErrSaturated)
					require.True(t, policy.Refused(err))
				}
			}
			require.Equal(t, want, l.Stats())
			action := map[redislimit.OnFailure]string{redislimit.Closed: "refuse"}[mode]
			if action == "" {
				action = "bypass"
			}
			n := 0
			for _, w := range told.words() {
				if w == "rate_limit "+action+" store" {
					n++
				}
			}
			require.Equal(t, 5, n, told.words())
		})
	}
}

func TestLimiterEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.delay = 50 * time.Millisecond
		l := newLimiter(t, newStore(t, client, redislimit.Config{}), policy.RateLimiterConfig{Limit: 10})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		_, err := l.Admit(ctx)
		require.NoError(t, err, "no answer before the deadline, and the store is open")
		<-ctx.Done()
		_, err = l.Admit(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.False(t, policy.Refused(err))
		gone, leave := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Millisecond, leave)
		_, err = l.Admit(gone)
		require.ErrorIs(t, err, context.Canceled)
		require.False(t, policy.Refused(err))
		time.Sleep(time.Second) // until the trip is over
	})
}

func TestLimiterIsShown(t *testing.T) {
	_, client := newFake(t)
	var w watcher
	l := newLimiter(t, newStore(t, client, redislimit.Config{}), policy.RateLimiterConfig{Limit: 10}, redislimit.WithObserver(&w))
	require.Equal(t, policy.Status{Policy: policy.PolicyRateLimit, Key: "payments", Limit: 10, Per: time.Second}, w.status(t))
	require.Zero(t, l.Stats())
}

func TestLimiterReportsAllThatIsWrong(t *testing.T) {
	_, err := redislimit.NewLimiter(nil, "", policy.RateLimiterConfig{})
	for _, path := range []string{"store: ", "name: ", "limit: "} {
		require.ErrorContains(t, err, path)
	}
}
