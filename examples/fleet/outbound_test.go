//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
	"github.com/magnetar-go/magnetar/transport"
)

// peer is a server with a quota, that counts who comes too early for it.
type peer struct {
	*httptest.Server

	began time.Time // before anybody has asked for a turn

	mu           sync.Mutex
	asked, early int
}

// startPeer starts one that may be called so often a second, and as often at once.
func startPeer(t *testing.T, limit int) *peer {
	p := &peer{began: time.Now()}
	p.Server = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked++
		if float64(p.asked) > float64(limit)*(1+time.Since(p.began).Seconds())+1 {
			p.early++
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// clientFor is that of one process.
func clientFor(t *testing.T, cfg transport.Config, opts ...transport.Option) *http.Client {
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	return &http.Client{Transport: transport.New(base, cfg, append(opts, transport.WithTelemetry(nil))...)}
}

func call(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

func limiterOf(t *testing.T, redis string, cfg policy.RateLimiterConfig) (*redislimit.Limiter, *redislimit.Store) {
	t.Helper()
	s := newStore(t, clientOf(t, redis), redislimit.Config{OnFailure: redislimit.Closed})
	l, err := redislimit.NewLimiter(s, "payments", cfg)
	require.NoError(t, err)
	return l, s
}

// Four processes call two servers that may be called 50 times a second each; then
// both of them together.
func TestCallersShareAQuota(t *testing.T) {
	for name, c := range map[string]struct {
		option func(*redislimit.Limiter) transport.Option
		each   int // calls a server gets from a process
	}{
		"each host": {func(l *redislimit.Limiter) transport.Option { return transport.WithRateLimit(l.ForKey) }, 25},
		"all hosts": {func(l *redislimit.Limiter) transport.Option {
			return transport.WithRateLimit(func(string) policy.Gate { return l })
		}, 12},
		"a gate": {func(l *redislimit.Limiter) transport.Option { return transport.WithGate(l) }, 12},
	} {
		t.Run(name, func(t *testing.T) {
			d := startServer(t)
			servers := []*peer{startPeer(t, 50), startPeer(t, 50)}
			began := time.Now()
			var calls sync.WaitGroup
			for range 4 {
				l, _ := limiterOf(t, d.Address(), policy.RateLimiterConfig{Limit: 50})
				client := clientFor(t, transport.Config{}, c.option(l))
				for _, p := range servers {
					for range c.each {
						calls.Go(func() {
							if err := call(t.Context(), client, p.URL); err != nil {
								t.Error(err)
							}
						})
					}
				}
			}
			calls.Wait()
			for _, p := range servers {
				require.Equal(t, 4*c.each, p.asked)
				require.Zero(t, p.early, "more than the limit")
			}
			require.GreaterOrEqual(t, time.Since(began), 900*time.Millisecond, "50 at once, and 46 or 50 later")
		})
	}
}

// The timeouts of the call are no deadline of its context, and are heeded all the same.
func TestCallWhoseTurnComesTooLateIsRefusedAtOnce(t *testing.T) {
	p := startPeer(t, 1)
	l, _ := limiterOf(t, startServer(t).Address(), policy.RateLimiterConfig{Limit: 1, Per: 50 * time.Second, MaxWait: time.Hour})
	client := clientFor(t, transport.Config{Timeouts: &transport.Timeouts{Total: 30 * time.Second}}, transport.WithRateLimit(l.ForKey))
	require.NoError(t, call(t.Context(), client, p.URL))
	began := time.Now()
	err := call(t.Context(), client, p.URL)
	require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
	require.Less(t, time.Since(began), 15*time.Second)
	refusal, ok := errors.AsType[*policy.Error](err)
	require.True(t, ok)
	require.InDelta(t, 50*time.Second, refusal.RetryAfter, float64(patience))
	require.Equal(t, 1, p.asked)
}

// Each try is a call to the peer, so each takes what the call weighs.
func TestEachTryTakesWhatTheCallWeighs(t *testing.T) {
	tries := 0
	flaky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if tries++; tries < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer flaky.Close()
	l, s := limiterOf(t, startServer(t).Address(), policy.RateLimiterConfig{Limit: 100, Per: 100 * day})
	client := clientFor(t, transport.Config{Retry: &transport.Retry{InitialBackoff: time.Millisecond}}, transport.WithRateLimit(l.ForKey))
	require.NoError(t, call(redislimit.ContextWithWeight(t.Context(), 5), client, flaky.URL))
	require.Equal(t, 3, tries)
	levels, err := s.Take(t.Context(), flaky.URL, 0, []policy.StoreLimit{{Name: `"payments"`, Burst: 100, Interval: day}})
	require.NoError(t, err)
	require.Equal(t, 85, levels[0].Remaining)
}
