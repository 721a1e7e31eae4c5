//go:build linux

package main

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/redisd"
	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// counted has a service count in the Redis of a URL, and leave it alone for no longer
// than a test likes to wait.
func counted(url string, onFailure redislimit.OnFailure, change func(*Config)) func(*Config) {
	return func(cfg *Config) {
		cfg.Shared = &Shared{URL: url, Config: redislimit.Config{
			OnFailure: onFailure, Replicas: 2, Timeout: 200 * time.Millisecond,
			Breaker: &policy.CircuitBreakerConfig{
				FailureThreshold: 1, SuccessThreshold: 1, Cooldown: 20 * time.Millisecond, MaxCooldown: 50 * time.Millisecond,
			},
		}}
		if change != nil {
			change(cfg)
		}
	}
}

// dialled is a service that has a connection to its Redis: the first answer takes
// longest.
func dialled(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	b := begin(t, change)
	require.NoError(t, b.shared.client.Ping(t.Context()).Err())
	return b
}

// anHour is a limit that does not come back while a test looks.
func anHour(limit int) *policy.RateLimiterConfig {
	return &policy.RateLimiterConfig{Limit: limit, Per: time.Hour, MaxWait: -1}
}

func fourOfEachPeer(cfg *Config) { cfg.Inbound.RateLimit = anHour(4) }

// passed is how many requests of several were answered; the others were refused with
// a status.
func (b *bench) passed(t *testing.T, of, refused int) (passed int) {
	t.Helper()
	for range of {
		r := b.product(t, "42")
		if r.status == http.StatusOK {
			passed++
			continue
		}
		require.Equal(t, refused, r.status, r.body)
		require.NotEmpty(t, r.header.Get("Retry-After"))
	}
	return passed
}

func TestProcessesShareTheQuotaOfAPeer(t *testing.T) {
	url := "redis://" + redisd.Start(t).Address()
	one := dialled(t, counted(url, redislimit.Closed, fourOfEachPeer))
	other := dialled(t, counted(url, redislimit.Closed, fourOfEachPeer))
	require.Equal(t, 3, one.passed(t, 3, http.StatusTooManyRequests))
	require.Equal(t, 1, other.passed(t, 3, http.StatusTooManyRequests))
	require.Zero(t, one.passed(t, 1, http.StatusTooManyRequests))
	other.requireWell(t)
}

func TestProcessesShareTheQuotaOfAnUpstream(t *testing.T) {
	four := func(cfg *Config) { cfg.Upstreams.Prices.Quota = anHour(4) }
	t.Run("in Redis", func(t *testing.T) {
		url := "redis://" + redisd.Start(t).Address()
		one, other := dialled(t, counted(url, redislimit.Closed, four)), dialled(t, counted(url, redislimit.Closed, four))
		require.Equal(t, 3, one.passed(t, 3, http.StatusServiceUnavailable))
		require.Equal(t, 1, other.passed(t, 3, http.StatusServiceUnavailable))
		require.Equal(t, int64(4), one.prices.requests.Load()+other.prices.requests.Load())
	})
	t.Run("each for itself", func(t *testing.T) {
		one, other := begin(t, four), begin(t, four)
		require.Equal(t, 4, one.passed(t, 5, http.StatusServiceUnavailable))
		require.Equal(t, 4, other.passed(t, 5, http.StatusServiceUnavailable))
	})
}

func TestServiceServesWithoutItsRedis(t *testing.T) {
	server := redisd.Start(t)
	server.Stop()
	for name, url := range map[string]string{
		"that is down":             "redis://" + server.Address(),
		"that accepts and is mute": "redis://" + mute(t),
	} {
		t.Run(name, func(t *testing.T) {
			for onFailure, c := range map[redislimit.OnFailure]struct{ passed, refused int }{
				redislimit.Local:  {2, http.StatusTooManyRequests}, // half of the limit
				redislimit.Open:   {8, 0},
				redislimit.Closed: {0, http.StatusServiceUnavailable},
			} {
				b := begin(t, counted(url, onFailure, fourOfEachPeer))
				b.requireWell(t)
				require.Equal(t, c.passed, b.passed(t, 8, c.refused), onFailure)
				b.requireWell(t)
				require.Eventually(t, func() bool { return strings.Contains(b.log.String(), "magnetar.breaker.open") }, patience, time.Millisecond)
			}
		})
	}
}

func TestRedisThatTakesNoPasswordOfOursIsAsOneThatIsAway(t *testing.T) {
	right, wrong := rand.Text(), rand.Text()
	server := redisd.Start(t, "--requirepass", right)
	b := dialled(t, counted("redis://:"+right+"@"+server.Address(), redislimit.Closed, nil))
	require.Equal(t, http.StatusOK, b.product(t, "42").status)
	b.requireUntold(t, right)

	b = begin(t, counted("redis://:"+wrong+"@"+server.Address(), redislimit.Closed, nil))
	r := b.product(t, "42")
	require.Equal(t, http.StatusServiceUnavailable, r.status)
	require.NotContains(t, r.body, server.Address())
	b.requireWell(t)
	b.requireUntold(t, wrong)
	require.Eventually(t, func() bool { return strings.Contains(b.log.String(), "WRONGPASS") }, patience, time.Millisecond)
}

func TestRedisThatIsRestartedLosesNoRequest(t *testing.T) {
	server := redisd.Start(t)
	b := begin(t, counted("redis://"+server.Address(), redislimit.Local, func(cfg *Config) {
		many(cfg)
		cfg.Inbound.RateLimit = &policy.RateLimiterConfig{Limit: 100_000}
	}))
	b.survive(t, "Redis killed and started again", (*load).look, func(l *load) {
		server.Kill()
		require.Eventually(t, func() bool { return b.shared.store.Stats().State != policy.Closed }, patience, time.Millisecond)
		l.more(t)
		server.Restart()
		require.Eventually(t, func() bool { return b.shared.store.Stats().State == policy.Closed }, patience, time.Millisecond)
	})
	require.Positive(t, b.shared.store.Stats().Without)
}
