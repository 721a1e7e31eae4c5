package redislimit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// Whoever asks with less time than the store's timeout, as a quota may, still gets
// what OnFailure says.
func TestDeadlineShorterThanTheTimeoutFailsAsConfigured(t *testing.T) {
	for _, timeout := range []time.Duration{245 * time.Millisecond, 250 * time.Millisecond, time.Second} {
		for _, mode := range []redislimit.OnFailure{redislimit.Open, redislimit.Closed, redislimit.Local} {
			synctest.Test(t, func(t *testing.T) {
				f, client := newFake(t)
				hole := make(chan struct{})
				f.set(func() { f.hang = hole })
				s := newStore(t, client, redislimit.Config{OnFailure: mode, Replicas: 1, Timeout: timeout})
				ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
				defer cancel()
				began := time.Now()
				levels, err := s.Take(ctx, "alice", 1, perSecond(10))
				require.Equal(t, 240*time.Millisecond, time.Since(began))
				require.EqualValues(t, 1, s.Stats().Without)
				require.Equal(t, mode == redislimit.Closed, policy.Refused(err))
				if mode == redislimit.Local {
					require.NoError(t, err)
					require.True(t, levels[0].Admitted)
				} else {
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.ErrorContains(t, err, "redis: no answer before the caller's deadline")
				}
				require.Equal(t, policy.Closed, s.Stats().State, "not before the timeout")
				time.Sleep(timeout)
				require.Equal(t, policy.Open, s.Stats().State)
				close(hole)
				time.Sleep(time.Minute)
			})
		}
	}
}

// A goroutine that is late to look at its timer fails no more open than others.
func TestDeadlineThatIsOverFailsAsConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.delay = 50 * time.Millisecond
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Closed})
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		_, err := s.Take(ctx, "alice", 1, perSecond(10)) // a tenth of it is nothing
		require.True(t, policy.Refused(err), err)
		time.Sleep(time.Second)
	})
}
