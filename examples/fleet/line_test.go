//go:build linux

package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// Who does not wait leaves the line as it is, and so does a clock an hour back.
func TestLineIsWhatItWasWhoeverAsks(t *testing.T) {
	clock, s := newClock(t)
	limiter := func(wait time.Duration) *redislimit.Limiter {
		l, err := redislimit.NewLimiter(s, "payments", policy.RateLimiterConfig{Limit: 1, MaxWait: wait})
		require.NoError(t, err)
		return l
	}
	wait := func(l *redislimit.Limiter) time.Duration {
		_, err := l.Admit(t.Context())
		var refusal *policy.Error
		require.ErrorAs(t, err, &refusal)
		return refusal.RetryAfter
	}
	clock.at(t, today)
	patient, hasty := limiter(time.Hour), limiter(-1)
	_, err := hasty.Admit(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	for range 4 {
		go func() {
			_, _ = patient.Admit(ctx)
			done <- struct{}{}
		}()
	}
	require.Eventually(t, func() bool { return patient.Stats().Waiting == 4 }, patience, time.Millisecond)
	require.Equal(t, 5*time.Second, wait(hasty))
	require.Equal(t, 5*time.Second, wait(hasty), "it has cut nothing")
	clock.at(t, today-3600*second)
	require.Equal(t, 5*time.Second, wait(hasty))
	cancel()
	for range 4 {
		<-done
	}
	require.Equal(t, 5*time.Second, wait(hasty), "they leave their turns to those who come after them")
	asked := s.Stats().Calls
	_, err = patient.Admit(t.Context())
	require.NoError(t, err)
	require.Equal(t, asked, s.Stats().Calls)
}
