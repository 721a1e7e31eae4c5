package redislimit_test

import (
	"context"
	"strconv"
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

// However many ask at once, and in whatever order they learn of it: the process knows
// that all is used.
func TestProcessRemembersTheLastOfManyAnswers(t *testing.T) {
	for range 5 {
		f, client := newFake(t)
		f.delay = 5 * time.Millisecond
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1, Timeout: 10 * time.Second})
		hourly := []policy.StoreLimit{{Name: "hourly", Burst: 1000, Interval: time.Hour / 1000}}
		var admitted atomic.Int64
		var wg sync.WaitGroup
		take := func() {
			levels, err := s.Take(t.Context(), "alice", 1, hourly)
			require.NoError(t, err)
			if levels[0].Admitted {
				admitted.Add(1)
			}
		}
		for range 1000 {
			wg.Go(take)
		}
		wg.Wait()
		f.set(func() { f.err = answeredError("LOADING") })
		for range 1000 {
			take()
		}
		require.InDelta(t, 1000, admitted.Load(), 5, "the rest has come back meanwhile")
	}
}

// held is a hook that keeps the answers of a trip, once Redis has given them.
type held struct{ trips chan chan struct{} }

func (held) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (held) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h held) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		select {
		case until := <-h.trips:
			<-until
		default:
		}
		return err
	}
}

// An answer that Redis gave first and that comes last is no news; what it says later
// is, be it less.
func TestProcessRemembersTheHighestOfAnswersThatCross(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRedis{tats: map[string]int64{}, highs: map[string]int64{}, knows: true}
		client := redis.NewClient(&redis.Options{Addr: "192.0.2.1:6379"})
		defer client.Close()
		h := held{make(chan chan struct{}, 1)}
		client.AddHook(h)
		client.AddHook(f)
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1, Timeout: time.Minute})
		hourly := []policy.StoreLimit{{Name: "hourly", Burst: 10, Interval: time.Hour}}
		take := func(n int) int {
			levels, err := s.Take(t.Context(), "alice", n, hourly)
			require.NoError(t, err)
			return levels[0].Remaining
		}
		late := make(chan struct{})
		h.trips <- late
		var wg sync.WaitGroup
		wg.Go(func() { require.Equal(t, 9, take(1)) })
		synctest.Wait()
		require.Zero(t, take(9))
		close(late)
		wg.Wait()
		f.set(func() { f.err = answeredError("LOADING") })
		require.Zero(t, take(1))

		f.set(func() { f.err, f.tats = nil, map[string]int64{} }) // somebody has flushed it
		for s.Stats().State != policy.Closed {
			time.Sleep(time.Second)
			_, err := s.Take(t.Context(), "bob", 1, hourly)
			require.NoError(t, err)
			synctest.Wait()
		}
		require.Equal(t, 10, take(0), "nothing was taken without it")
		f.set(func() { f.err = answeredError("LOADING") })
		require.Equal(t, 9, take(1))
	})
}

// Whoever could not wait for long does not make the process forget who waits.
func TestProcessRemembersTheLineWhoeverAsksLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		l := newLimiter(t, newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1}), policy.RateLimiterConfig{Limit: 10})
		p := passes{began: time.Now()}
		var wg sync.WaitGroup
		admit := func() {
			if _, err := l.Admit(t.Context()); err == nil {
				p.pass()
			}
		}
		for range 260 { // 25 s of them
			wg.Go(admit)
		}
		synctest.Wait()
		hurry, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := l.Admit(hurry)
		require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
		f.set(func() { f.err = answeredError("LOADING") })
		for range 200 {
			wg.Go(admit)
		}
		wg.Wait()
		require.LessOrEqual(t, p.mostWithin(20*time.Second), 210)
	})
}

// Those who share a place in memory may be refused for each other, and begin never
// anew for each other.
func TestProcessWithTooManyKeysErrsOnTheSafeSide(t *testing.T) {
	f, client := newFake(t)
	s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1, Timeout: time.Minute})
	hourly := []policy.StoreLimit{{Name: "hourly", Burst: 1, Interval: time.Hour}}
	take := func(i, n int) bool {
		levels, err := s.Take(t.Context(), strconv.Itoa(i), n, hourly)
		require.NoError(t, err)
		return levels[0].Admitted
	}
	const keys = 70_000
	var wg sync.WaitGroup
	for first := range 200 {
		wg.Go(func() {
			for i := first; i < keys; i += 200 {
				if !take(i, 1) {
					t.Error("refused by Redis", i)
				}
			}
		})
	}
	wg.Wait()
	for i := keys; i < keys+1000; i++ { // they look, and have used nothing
		take(i, 0)
	}
	f.set(func() { f.err = answeredError("LOADING") })
	again := 0
	for i := range keys {
		if take(i, 1) {
			again++
		}
	}
	require.Zero(t, again)
}
