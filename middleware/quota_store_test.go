package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

// sharedStore is a store in a single process, by the formulae of
// policy.StoreLimit and in whole microseconds, a network away.
type sharedStore struct {
	delay time.Duration
	err   error // what it answers with, if anything
	calls atomic.Int64

	mu   sync.Mutex
	tats map[[2]string]int64
}

func (s *sharedStore) Take(ctx context.Context, key string, n int, limits []policy.StoreLimit) ([]policy.StoreLevel, error) {
	s.calls.Add(1)
	select {
	case <-time.After(s.delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.err != nil {
		return nil, s.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, all := time.Now().UnixMicro(), true
	levels := make([]policy.StoreLevel, len(limits))
	for i, l := range limits {
		unit := l.Interval.Microseconds()
		room := int64(l.Burst)*unit - s.backlog(now, key, l)
		levels[i] = policy.StoreLevel{Admitted: int64(n)*unit <= room, Remaining: int(room / unit)}
		if !levels[i].Admitted {
			all = false
			levels[i].RetryAfter = time.Duration(int64(n)*unit-room) * time.Microsecond
		}
	}
	for i, l := range limits {
		backlog := s.backlog(now, key, l)
		if all {
			backlog += int64(n) * l.Interval.Microseconds()
			levels[i].Remaining -= n
			s.tats[[2]string{key, l.Name}] = now + backlog
		}
		levels[i].Reset = time.Duration(backlog) * time.Microsecond
	}
	return levels, nil
}

func (s *sharedStore) backlog(now int64, key string, l policy.StoreLimit) int64 {
	return min(max(0, s.tats[[2]string{key, l.Name}]-now), int64(l.Burst)*l.Interval.Microseconds())
}

func newStore(delay time.Duration, err error) *sharedStore {
	return &sharedStore{delay: delay, err: err, tats: map[[2]string]int64{}}
}

func TestQuotaInAStoreDoesAsInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		more := middleware.WithQuota("hourly", perHour(15))
		weigh := middleware.WithWeight(byWeight)
		local := newQuota(t, perSecond(8), middleware.ByPeerIP, more, weigh).Handler(answerOK)
		shared := newQuota(t, perSecond(8), middleware.ByPeerIP, more, weigh,
			middleware.WithName("default"), middleware.WithStore(newStore(0, nil))).Handler(answerOK)
		for i := range 300 {
			weight := withHeader("Weight", []string{"1", "3", "0", "8"}[i%4])
			want, got := askFrom(local, alice, weight), askFrom(shared, alice, weight)
			require.Equal(t, want.Code, got.Code)
			require.Equal(t, want.Header().Values("Ratelimit"), got.Header().Values("Ratelimit"))
			require.Equal(t, want.Header().Values("Ratelimit-Policy"), got.Header().Values("Ratelimit-Policy"))
			time.Sleep(time.Duration(i) * 7 * time.Millisecond)
		}
	})
}

// Inbound trap 20, as far as it is the quota's: it asks once, for check and
// charge in one step, and charges nothing by itself.
func TestQuotaInAStoreIsSharedByServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name, store := middleware.WithName("requests"), middleware.WithStore(newStore(time.Millisecond, nil))
		var wg sync.WaitGroup
		var passed atomic.Int64
		for range 4 {
			h := newQuota(t, perHour(100), middleware.ByPeerIP, name, store).Handler(answerOK)
			for range 4 {
				wg.Go(func() { passed.Add(int64(admittedOf(h, 50, alice))) })
			}
		}
		wg.Wait()
		require.EqualValues(t, 100, passed.Load())
	})
}

// Inbound trap 19: requests do not queue for the store.
func TestQuotaAsksTheStoreForManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(5*time.Millisecond, nil)
		h := newQuota(t, perSecond(100), middleware.ByPeerIP, middleware.WithName("requests"), middleware.WithStore(store)).Handler(answerOK)
		began := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { askFrom(h, alice) })
		}
		wg.Wait()
		require.Less(t, time.Since(began), 25*time.Millisecond)
		require.EqualValues(t, 50, store.calls.Load(), "one round trip each")
	})
}

var errStore = errors.New("dial tcp 10.0.0.7:6379: connection refused")

// Inbound trap 18, as far as it is the quota's: open or closed by choice, within
// bounds, and nothing of the store in the answer.
func TestQuotaFailsOpenWithoutItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []policy.Decision
		q := newQuota(t, perSecond(1), middleware.ByPeerIP, middleware.WithName("requests"), middleware.WithStore(newStore(0, errStore)), recordQuota(&told))
		h := q.Handler(answerOK)
		require.Equal(t, 5, admittedOf(h, 5, alice))
		require.Equal(t, []policy.Decision{{
			Policy: policy.PolicyQuota, Action: policy.ActionBypass, Reason: policy.ReasonStore,
			Key: "192.0.2.1", Began: time.Now(), Err: errStore,
		}}, withoutRoute(told[:1]))
		require.EqualValues(t, 5, q.Stats().Bypassed)
		w := askFrom(h, alice)
		require.NotEmpty(t, w.Header().Get("Ratelimit-Policy"))
		require.Empty(t, w.Header().Values("Ratelimit"), "nothing is known")
	})
}

// Inbound trap 18.
func TestQuotaFailsClosedWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []policy.Decision
		h := newQuota(t, perSecond(1), middleware.ByPeerIP, middleware.WithName("requests"), middleware.WithStore(newStore(0, errStore)),
			middleware.WithFailClosed(), recordQuota(&told)).Handler(answerOK)
		w := askFrom(h, alice)
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.NotContains(t, w.Body.String(), "10.0.0.7")
		require.Equal(t, policy.ActionRefuse, told[0].Action)
		require.Equal(t, policy.ReasonStore, told[0].Reason)
		require.ErrorIs(t, told[0].Err, errStore)
	})
}

// A store that is told to fail closed need not be told so again.
func TestQuotaRefusesWhatItsStoreRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusal := &policy.Error{Reason: policy.ReasonStore, Policy: policy.PolicyRateLimit, Err: errStore}
		q := newQuota(t, perSecond(1), middleware.ByPeerIP, middleware.WithName("requests"), middleware.WithStore(newStore(0, refusal)))
		w := askFrom(q.Handler(answerOK), alice)
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.NotContains(t, w.Body.String(), "10.0.0.7")
		require.Equal(t, middleware.QuotaStats{Refused: 1}, q.Stats())
	})
}

// Inbound trap 18.
func TestQuotaWaitsForAHangingStoreInBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newQuota(t, perSecond(1), middleware.ByPeerIP, middleware.WithName("requests"), middleware.WithStore(newStore(time.Hour, nil))).Handler(answerOK)
		began := time.Now()
		require.Equal(t, http.StatusOK, askFrom(h, alice).Code)
		require.Equal(t, 250*time.Millisecond, time.Since(began))
	})
}

func TestQuotaLeavesTheStoreWithItsClient(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit func(context.Context) (context.Context, context.CancelFunc)
		want  policy.Reason
	}{
		{"gone", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(5*time.Millisecond, cancel)
			return ctx, cancel
		}, policy.ReasonClientGone},
		{"out of time", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 5*time.Millisecond)
		}, policy.ReasonDeadlineUnmeetable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []policy.Decision
				h := newQuota(t, perSecond(1), middleware.ByPeerIP, middleware.WithName("requests"), middleware.WithStore(newStore(time.Hour, nil)),
					recordQuota(&told)).Handler(answerOK)
				ctx, cancel := tt.limit(t.Context())
				defer cancel()
				r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
				w := httptest.NewRecorder()
				began := time.Now()
				h.ServeHTTP(w, r)
				require.Equal(t, 5*time.Millisecond, time.Since(began))
				require.Equal(t, http.StatusServiceUnavailable, w.Code)
				require.Equal(t, tt.want, told[0].Reason)
			})
		})
	}
}

func TestQuotaTakesAWrongNumberOfLevelsForAFailure(t *testing.T) {
	q := newQuota(t, perSecond(1), middleware.ByPeerIP, middleware.WithName("requests"), middleware.WithStore(noLevels{}))
	require.Equal(t, http.StatusOK, askFrom(q.Handler(answerOK), alice).Code)
	require.EqualValues(t, 1, q.Stats().Bypassed)
}

type noLevels struct{}

func (noLevels) Take(context.Context, string, int, []policy.StoreLimit) ([]policy.StoreLevel, error) {
	return nil, nil
}
