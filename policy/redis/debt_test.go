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

// indebted returns a store whose Redis is back, and has yet to learn that alice
// has used all of her 10 units.
func indebted(t *testing.T) (*fakeRedis, *redislimit.Store, []policy.StoreLimit) {
	t.Helper()
	f, client := newFake(t)
	f.set(func() { f.err = answeredError("LOADING") })
	s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1, Timeout: time.Second})
	hourly := []policy.StoreLimit{{Name: "hourly", Burst: 10, Interval: 6 * time.Minute}}
	levels, err := s.Take(t.Context(), "alice", 10, hourly)
	require.NoError(t, err)
	require.True(t, levels[0].Admitted)
	f.set(func() { f.err = nil })
	for s.Stats().State != policy.Closed {
		time.Sleep(time.Second)
		_, err = s.Take(t.Context(), "bob", 1, hourly)
		require.NoError(t, err)
		synctest.Wait()
	}
	return f, s, hourly
}

// Whoever should have told Redis of a debt may never get there.
func TestDebtIsToldUntilRedisHasAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s, hourly := indebted(t)
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
		hourly := []policy.StoreLimit{{Name: "hourly", Burst: 10, Interval: 6 * time.Minute}}
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
		_, s, hourly := indebted(t)
		other := []policy.StoreLimit{{Name: "other", Burst: 10, Interval: 6 * time.Minute}}
		levels, err := s.Take(t.Context(), "alice", 1, other)
		require.NoError(t, err)
		require.Equal(t, 9, levels[0].Remaining)
		levels, err = s.Take(t.Context(), "alice", 1, hourly)
		require.NoError(t, err)
		require.False(t, levels[0].Admitted)
	})
}
