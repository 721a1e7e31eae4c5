//go:build linux

package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
	"github.com/magnetar-go/magnetar/examples/internal/redisd"
	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// patience is more than a slow machine needs, where it is not the matter.
const patience = 20 * time.Second

// startServer starts a redis-server for a test, with more arguments of its own.
func startServer(t *testing.T, more ...string) *daemon.Daemon {
	t.Helper()
	return redisd.Start(t, slices.Concat(testArguments, more)...)
}

func arguments(d *daemon.Daemon, more ...string) []string {
	return redisd.Arguments(d, slices.Concat(testArguments, more)...)
}

var testArguments = []string{"--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"}

func clientOf(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, DialerRetries: 1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { c.Close() })
	return c
}

// newStore is a store that waits long, and is not left alone for long.
func newStore(t *testing.T, c redislimit.Client, cfg redislimit.Config, opts ...redislimit.Option) *redislimit.Store {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = patience
	}
	if cfg.Breaker == nil {
		cfg.Breaker = &policy.CircuitBreakerConfig{
			FailureThreshold: 1, SuccessThreshold: 1, Cooldown: 20 * time.Millisecond, MaxCooldown: 50 * time.Millisecond,
		}
	}
	s, err := redislimit.NewStore(c, cfg, opts...)
	require.NoError(t, err)
	return s
}

func limitOf(burst int, interval time.Duration) []policy.StoreLimit {
	return []policy.StoreLimit{{Name: "default", Burst: burst, Interval: interval}}
}

func take(t *testing.T, s *redislimit.Store, n int, limits []policy.StoreLimit) []policy.StoreLevel {
	t.Helper()
	levels, err := s.Take(t.Context(), "alice", n, limits)
	require.NoError(t, err)
	return levels
}

// do runs a command that must succeed.
func do(t *testing.T, c redis.UniversalClient, args ...any) any {
	t.Helper()
	v, err := c.Do(t.Context(), args...).Result()
	require.NoErrorf(t, err, "%v", args)
	return v
}

// eventually is when Redis is asked again, and answers.
func eventually(t *testing.T, s *redislimit.Store) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := s.Take(t.Context(), "somebody else", 1, limitOf(1, time.Microsecond))
		return err == nil && s.Stats().State == policy.Closed
	}, patience, 5*time.Millisecond)
}

// setClock is a server's clock for our script, which reads it from a list.
type setClock struct {
	client *redis.Client
	script string
}

func (setClock) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (setClock) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (s setClock) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			args := cmd.Args()
			args[0], args[1] = "eval", s.script
		}
		return next(ctx, cmds)
	}
}

// at sets the clock to so many microseconds since 1970.
func (s setClock) at(t *testing.T, micros int64) {
	t.Helper()
	pipe := s.client.TxPipeline()
	pipe.Del(t.Context(), "clock")
	pipe.RPush(t.Context(), "clock", micros/1e6, micros%1e6)
	_, err := pipe.Exec(t.Context())
	require.NoError(t, err)
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
