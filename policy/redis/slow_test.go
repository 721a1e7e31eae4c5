package redislimit_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// A Redis that is slow, but within the timeout, answers every call: to wait for a
// trip takes nothing off its time.
func TestSlowRedisWithinTheTimeoutAnswersAll(t *testing.T) {
	const timeout = 100 * time.Millisecond
	for _, rtt := range []time.Duration{timeout * 4 / 10, timeout * 6 / 10, timeout * 8 / 10, timeout * 95 / 100} {
		synctest.Test(t, func(t *testing.T) {
			f, client := newFake(t)
			f.delay = rtt
			s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Closed, Timeout: timeout})
			var wg sync.WaitGroup
			var admitted atomic.Int64
			for range 2000 { // 10 s
				wg.Go(func() {
					began := time.Now()
					levels, err := s.Take(t.Context(), "alice", 1, perSecond(100))
					require.NoError(t, err)
					require.LessOrEqual(t, time.Since(began), 2*rtt)
					if levels[0].Admitted {
						admitted.Add(1)
					}
				})
				time.Sleep(5 * time.Millisecond)
			}
			wg.Wait()
			require.Zero(t, s.Stats().Without)
			require.Less(t, s.Stats().Trips, uint64(1100))
			require.InDelta(t, 100+10*100, admitted.Load(), 10)
		})
	}
}

// One that is slower costs the first callers the timeout, and nobody else anything.
func TestSlowerRedisIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.delay = 110 * time.Millisecond
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Closed})
		var wg sync.WaitGroup
		var waited atomic.Int64
		for range 2000 { // 10 s
			wg.Go(func() {
				began := time.Now()
				_, err := s.Take(t.Context(), "alice", 1, perSecond(100))
				require.True(t, policy.Refused(err))
				require.LessOrEqual(t, time.Since(began), 100*time.Millisecond)
				if time.Since(began) > 0 {
					waited.Add(1)
				}
			})
			time.Sleep(5 * time.Millisecond)
		}
		wg.Wait()
		require.LessOrEqual(t, waited.Load(), int64(20), "those of the first 100 ms")
		require.NotEqual(t, policy.Closed, s.Stats().State)
		f.set(func() { f.delay = 0 })
		require.Eventually(t, func() bool {
			_, err := s.Take(t.Context(), "alice", 0, perSecond(100))
			return err == nil
		}, 5*time.Second, 10*time.Millisecond)
		time.Sleep(time.Second)
	})
}
