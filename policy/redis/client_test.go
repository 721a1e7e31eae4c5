package redislimit_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// A hook of the user's runs on a goroutine of ours.
func TestPanicOfTheClientIsAFailure(t *testing.T) {
	s := newStore(t, clientThatPanics{}, redislimit.Config{})
	_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
	require.ErrorContains(t, err, "redis: its client panicked")
}

type clientThatPanics struct{ redislimit.Client }

// However often: those who wait are told, and it ends with its cause.
func TestClientThatEndsTheGoroutineIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := newFake(t)
		c := &clientThatEnds{Client: client}
		s := newStore(t, c, redislimit.Config{})
		c.ends.Store(true)
		for range 10 {
			_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
			require.ErrorContains(t, err, "its client ended the goroutine")
			time.Sleep(3 * time.Second)
		}
		synctest.Wait()
		c.ends.Store(false)
		_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
		require.ErrorContains(t, err, "not asked again yet")
		synctest.Wait()
		for range 10 {
			began := time.Now()
			_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
			require.NoError(t, err)
			require.Zero(t, time.Since(began))
		}
	})
}

type clientThatEnds struct {
	redislimit.Client

	ends atomic.Bool
}

func (c *clientThatEnds) Pipeline() redis.Pipeliner {
	if c.ends.Load() {
		runtime.Goexit()
	}
	return c.Client.Pipeline()
}

// Whoever noticed it first, and not those who were not made to wait.
func TestOnlyWhoWaitedTimedOut(t *testing.T) {
	f, client := newFake(t)
	f.fault = context.DeadlineExceeded
	s := newStore(t, client, redislimit.Config{})
	for _, want := range []bool{true, false} {
		_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
		require.ErrorContains(t, err, "no answer in time")
		timeout, ok := errors.AsType[interface {
			error
			Timeout() bool
		}](err)
		require.True(t, ok)
		require.Equal(t, want, timeout.Timeout())
	}
}
