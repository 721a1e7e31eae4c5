package redislimit_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// slow is an observer that takes its time, and then does what ends a goroutine.
type slow struct {
	journal

	takes time.Duration
	ends  func()
}

func (s *slow) Observe(ctx context.Context, d policy.Decision) {
	time.Sleep(s.takes)
	s.journal.Observe(ctx, d)
	if s.ends != nil {
		s.ends()
	}
}

// Enabled takes as long, for it is the user's too.
func (s *slow) Enabled(context.Context) bool {
	time.Sleep(s.takes)
	return true
}

func TestNobodyWaitsForTheObserverOfTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.set(func() { f.err, f.delay = answeredError("LOADING"), 5*time.Millisecond })
		o := slow{takes: time.Minute}
		s := newStore(t, client, redislimit.Config{}, redislimit.WithObserver(&o))
		began := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
				require.ErrorContains(t, err, "LOADING: ")
			})
		}
		wg.Wait()
		require.Equal(t, 5*time.Millisecond, time.Since(began))
		f.set(func() { f.err = nil })
		for range 20 { // the probe, too
			time.Sleep(100 * time.Millisecond)
			began = time.Now()
			_, _ = s.Take(t.Context(), "alice", 1, perSecond(10))
			require.LessOrEqual(t, time.Since(began), 5*time.Millisecond)
		}
		require.Equal(t, policy.Closed, s.Stats().State)
		time.Sleep(time.Hour)
		require.Equal(t, []string{
			"breaker open failures_in_a_row", "breaker half_open cooldown_over", "breaker close trials_succeeded",
		}, o.words(), "in their order")
	})
}

func TestObserverThatPanicsEndsNothing(t *testing.T) {
	for name, ends := range map[string]func(){"panic": func() { panic("observer") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, client := newFake(t)
				f.set(func() { f.err = answeredError("LOADING") })
				o := slow{ends: ends}
				s := newStore(t, client, redislimit.Config{}, redislimit.WithObserver(&o))
				for range 20 {
					_, _ = s.Take(t.Context(), "alice", 1, perSecond(10))
					time.Sleep(100 * time.Millisecond)
					f.set(func() { f.err = nil })
				}
				require.Equal(t, policy.Closed, s.Stats().State)
				_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
				require.NoError(t, err)
				require.Len(t, o.words(), 3, "it is told again")
			})
		})
	}
}
