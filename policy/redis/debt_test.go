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

// perHour holds n units, of which one is not soon back.
func perHour(n int) []policy.StoreLimit {
	return []policy.StoreLimit{{Name: "hourly", Burst: n, Interval: time.Hour / time.Duration(n)}}
}

// back is when Redis is asked again.
func back(t *testing.T, s *redislimit.Store) {
	t.Helper()
	for s.Stats().State != policy.Closed {
		time.Sleep(time.Second)
		_, _ = s.Take(t.Context(), "bob", 1, perHour(10))
		synctest.Wait()
	}
}

// taking is a take of alice's that admits, or not.
func taking(t *testing.T, s *redislimit.Store, n int, limits []policy.StoreLimit, admitted bool) policy.StoreLevel {
	t.Helper()
	levels, err := s.Take(t.Context(), "alice", n, limits)
	require.NoError(t, err)
	require.Equal(t, admitted, levels[0].Admitted)
	return levels[0]
}

// indebted returns a store whose Redis is back, and has yet to learn that alice
// has used so many of her 10 units.
func indebted(t *testing.T, n int) (*fakeRedis, *redislimit.Store, []policy.StoreLimit) {
	t.Helper()
	f, client := newFake(t)
	f.set(func() { f.err = answeredError("LOADING") })
	s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1, Timeout: time.Second})
	taking(t, s, n, perHour(10), true)
	f.set(func() { f.err = nil })
	back(t, s)
	return f, s, perHour(10)
}

// Whoever should have told Redis of a debt may never get there.
func TestDebtIsToldUntilRedisHasAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s, hourly := indebted(t, 10)
		f.set(func() { f.delay = 100 * time.Millisecond })
		var wg sync.WaitGroup
		for range 4 { // as many trips as there may be
			wg.Go(func() {
				_, err := s.Take(t.Context(), "bob", 1, hourly)
				require.NoError(t, err)
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		_, err := s.Take(ctx, "alice", 1, hourly)
		require.ErrorIs(t, err, context.Canceled)
		wg.Wait()
		for range 2 {
			levels, err := s.Take(t.Context(), "alice", 1, hourly)
			require.NoError(t, err)
			require.False(t, levels[0].Admitted)
		}
	})
}

// An answer that was under way meanwhile knows nothing of what was taken here.
func TestAnswerFromBeforeADebtDoesNotSettleIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1, Timeout: time.Second})
		hourly := perHour(10)
		f.set(func() { f.delay = 200 * time.Millisecond })
		var wg sync.WaitGroup
		for range 4 { // as many trips as there may be
			wg.Go(func() {
				_, err := s.Take(t.Context(), "alice", 0, hourly)
				require.NoError(t, err)
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		levels, err := s.Take(ctx, "alice", 10, hourly)
		require.NoError(t, err)
		require.True(t, levels[0].Admitted)
		wg.Wait()
		levels, err = s.Take(t.Context(), "alice", 1, hourly)
		require.NoError(t, err)
		require.False(t, levels[0].Admitted)
	})
}

// What Redis has learnt of one limit of a key is not what it has to learn of another.
func TestDebtIsOfOneLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s, hourly := indebted(t, 10)
		other := []policy.StoreLimit{{Name: "other", Burst: 10, Interval: 6 * time.Minute}}
		levels, err := s.Take(t.Context(), "alice", 1, other)
		require.NoError(t, err)
		require.Equal(t, 9, levels[0].Remaining)
		levels, err = s.Take(t.Context(), "alice", 1, hourly)
		require.NoError(t, err)
		require.False(t, levels[0].Admitted)
	})
}
