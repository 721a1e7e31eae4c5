package redislimit_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

func TestStoreTakesUnitsAndTellsLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := newFake(t)
		s := newStore(t, client, redislimit.Config{})
		limits := append(perSecond(10), policy.StoreLimit{Name: "hourly", Burst: 12, Interval: 5 * time.Minute})
		take := func(n int) []policy.StoreLevel {
			levels, err := s.Take(t.Context(), "alice", n, limits)
			require.NoError(t, err)
			return levels
		}
		require.Equal(t, []policy.StoreLevel{
			{Admitted: true, Remaining: 2, Reset: 800 * time.Millisecond},
			{Admitted: true, Remaining: 4, Reset: 40 * time.Minute},
		}, take(8))
		require.Equal(t, []policy.StoreLevel{
			{Remaining: 2, Reset: 800 * time.Millisecond, RetryAfter: 200 * time.Millisecond},
			{Admitted: true, Remaining: 4, Reset: 40 * time.Minute},
		}, take(4), "all or none")
	})
}

func TestStoreTellsWhatNeverFits(t *testing.T) {
	_, client := newFake(t)
	s := newStore(t, client, redislimit.Config{})
	for _, n := range []int{11, math.MaxInt32, math.MaxInt} {
		levels, err := s.Take(t.Context(), "alice", n, perSecond(10))
		require.NoError(t, err)
		require.Equal(t, []policy.StoreLevel{{Remaining: 10, RetryAfter: -1}}, levels)
	}
}

func TestStoreTakesNothingForZeroAndLess(t *testing.T) {
	_, client := newFake(t)
	s := newStore(t, client, redislimit.Config{})
	for _, n := range []int{0, -1, math.MinInt} {
		levels, err := s.Take(t.Context(), "alice", n, perSecond(10))
		require.NoError(t, err)
		require.Equal(t, []policy.StoreLevel{{Admitted: true, Remaining: 10}}, levels)
	}
	levels, err := s.Take(t.Context(), "alice", 1, nil)
	require.NoError(t, err)
	require.Empty(t, levels)
}

func TestStoreRefusesLimitsThatAreNone(t *testing.T) {
	f, client := newFake(t)
	s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Closed})
	for _, l := range []policy.StoreLimit{{Burst: 0, Interval: time.Second}, {Burst: 1}, {Burst: 1, Interval: -1}} {
		_, err := s.Take(t.Context(), "alice", 1, []policy.StoreLimit{l})
		require.True(t, policy.IsPermanent(err), err)
	}
	require.Zero(t, f.tripped())
}

// A bucket of 5 million years would not be exact; one of 142 is, and as good.
func TestStoreCountsHugeLimitsExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := newFake(t)
		s := newStore(t, client, redislimit.Config{})
		day := policy.StoreLimit{Name: "daily", Burst: math.MaxInt32, Interval: 24 * time.Hour}
		short := policy.StoreLimit{Name: "short", Burst: math.MaxInt32, Interval: time.Nanosecond}
		longest := policy.StoreLimit{Name: "longest", Burst: math.MaxInt, Interval: math.MaxInt64}
		take := func(n int, l policy.StoreLimit) policy.StoreLevel {
			levels, err := s.Take(t.Context(), "alice", n, []policy.StoreLimit{l})
			require.NoError(t, err)
			return levels[0]
		}
		require.Equal(t, policy.StoreLevel{Admitted: true, Remaining: 52_123, Reset: 24 * time.Hour}, take(1, day))
		require.Equal(t, policy.StoreLevel{Remaining: 52_123, Reset: 24 * time.Hour, RetryAfter: 24 * time.Hour}, take(52_124, day))
		require.Equal(t, policy.StoreLevel{Admitted: true, Reset: math.MaxInt32 * time.Microsecond}, take(math.MaxInt32, short),
			"an interval is rounded up to a microsecond")
		require.True(t, take(1, longest).Admitted)
		require.False(t, take(1, longest).Admitted)
	})
}

func TestRedisIsToldNothingOfAKey(t *testing.T) {
	f, client := newFake(t)
	s := newStore(t, client, redislimit.Config{Prefix: "shop:"})
	for _, key := range []string{"", "alice", "{alice}", strings.Repeat("x", 1<<20), "\x00\xff\r\n"} {
		_, err := s.Take(t.Context(), key, 1, perSecond(10))
		require.NoError(t, err)
	}
	seen := map[string]bool{}
	for _, key := range f.keys {
		require.Regexp(t, `^shop:[\w-]{22}$`, key)
		seen[key] = true
	}
	require.Len(t, seen, 5)
}

// Redis forgets scripts when it restarts or a replica takes over.
func TestStoreSendsTheScriptWhereItIsUnknown(t *testing.T) {
	f, client := newFake(t)
	s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Closed})
	f.knows = false
	for range 2 {
		_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
		require.NoError(t, err)
	}
	require.Equal(t, 1, f.texts)
	require.Equal(t, 3, f.trips)

	f.set(func() { f.forget, f.knows, f.err = true, false, answeredError("NOSCRIPT No matching script.") })
	_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
	require.ErrorContains(t, err, "NOSCRIPT: it does not keep our script")
}

// Inbound trap 19, and the shape of it: the first go at once, the rest together.
func TestStoreTakesCallsAlongThatComeMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.delay = 5 * time.Millisecond
		s := newStore(t, client, redislimit.Config{})
		began := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				_, err := s.Take(t.Context(), "alice", 1, perSecond(100))
				require.NoError(t, err)
			})
		}
		wg.Wait()
		require.Less(t, time.Since(began), 25*time.Millisecond)
		require.LessOrEqual(t, f.trips, 8)
		require.Len(t, f.keys, 50)

		began = time.Now()
		_, err := s.Take(t.Context(), "alice", 1, perSecond(100))
		require.NoError(t, err)
		require.Equal(t, 5*time.Millisecond, time.Since(began), "nobody waits for company")
	})
}

func TestTripsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.delay = time.Millisecond
		s := newStore(t, client, redislimit.Config{Batch: 7})
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				_, err := s.Take(t.Context(), "alice", 1, perSecond(100))
				require.NoError(t, err)
			})
		}
		wg.Wait()
		for _, n := range f.calls {
			require.LessOrEqual(t, n, 7)
		}
	})
}

func TestTakeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.delay = 50 * time.Millisecond
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 2})
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Millisecond, func() { cancel(gone) })
		began := time.Now()
		_, err := s.Take(ctx, "alice", 1, perSecond(10))
		require.ErrorIs(t, err, gone)
		require.Equal(t, 10*time.Millisecond, time.Since(began))
		_, err = s.Take(ctx, "alice", 1, perSecond(10))
		require.ErrorIs(t, err, gone)
		time.Sleep(time.Second)
		require.Equal(t, policy.Closed, s.Stats().State, "who leaves says nothing about Redis")
	})
}

func TestWhoHasLeftIsNotTakenAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.delay = 50 * time.Millisecond
		s := newStore(t, client, redislimit.Config{})
		var wg sync.WaitGroup
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			wg.Go(func() {
				defer cancel()
				_, err := s.Take(ctx, "alice", 1, perSecond(10))
				require.ErrorIs(t, err, context.DeadlineExceeded)
			})
		}
		wg.Wait()
		time.Sleep(time.Second)
		require.Len(t, f.asked(), 4, "those who went at once")
	})
}

func TestStoreReportsAllThatIsWrong(t *testing.T) {
	_, err := redislimit.NewStore(nil, redislimit.Config{
		Prefix: strings.Repeat("p", 129), Timeout: -1, OnFailure: "panic", Replicas: -1, Batch: -1,
		Breaker: &policy.CircuitBreakerConfig{Cooldown: -1},
	})
	for _, path := range []string{"client: ", "prefix: ", "timeout: ", "on_failure: ", "replicas: ", "batch: ", "breaker.cooldown: "} {
		require.ErrorContains(t, err, path)
	}
	_, client := newFake(t)
	_, err = redislimit.NewStore(client, redislimit.Config{OnFailure: redislimit.Local})
	require.ErrorContains(t, err, `replicas: 0: must be set for on_failure "local"`)
}
