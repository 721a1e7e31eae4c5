package transport_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// limits makes a gate for each key, and counts what it holds.
type limits struct {
	admit gateFunc // nil: all may pass

	mu    sync.Mutex
	names []string // that a gate was made for
	asked int
	held  int
	ends  []policy.Outcome
}

func (l *limits) of(key string) policy.Gate {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names = append(l.names, key)
	return gateFunc(l.ask)
}

func (l *limits) ask(ctx context.Context) (policy.Permit, error) {
	l.mu.Lock()
	l.asked++
	l.mu.Unlock()
	if l.admit != nil {
		if _, err := l.admit(ctx); err != nil {
			return policy.Permit{}, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held++
	return policy.NewPermit(func(_ context.Context, o policy.Outcome) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.held--
		l.ends = append(l.ends, o)
	}), nil
}

// requireEnded requires that so many tries were asked for, and that those which
// were let pass have ended so.
func (l *limits) requireEnded(t *testing.T, asked int, ends ...policy.Outcome) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Equal(t, asked, l.asked, "tries that it was asked for")
	require.Zero(t, l.held, "permits still held")
	require.Equal(t, ends, l.ends)
}

func TestEachKeyHasTheRateLimitThatIsMadeForIt(t *testing.T) {
	made := map[string]int{}
	tr := transport.New(emptyOK, transport.Config{}, transport.WithRateLimit(func(key string) policy.Gate {
		made[key]++
		if key == "http://h3.test:80" {
			return nil
		}
		return policy.NewRateLimiter(policy.RateLimiterConfig{Limit: len(made), Per: time.Hour, MaxWait: -1})
	}))
	for i, most := range []int{1, 2, 3, 100} {
		passed := 0
		for range 100 {
			resp, err := tr.RoundTrip(host(t, i))
			if err != nil {
				require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
				continue
			}
			passed++
			_ = resp.Body.Close()
		}
		require.Equal(t, most, passed, "host %d", i)
	}
	require.Equal(t, map[string]int{"http://h0.test:80": 1, "http://h1.test:80": 1, "http://h2.test:80": 1, "http://h3.test:80": 1}, made)
}

// The end of the last body, and of each try before.
func TestRateLimitOfAKeyIsHeldToTheEndOfTheBody(t *testing.T) {
	l := new(limits)
	tr := transport.New(newPeer(status(http.StatusServiceUnavailable), status(http.StatusOK)),
		transport.Config{Retry: &transport.Retry{InitialBackoff: time.Millisecond}}, transport.WithRateLimit(l.of))
	resp, err := tr.RoundTrip(get(t))
	require.NoError(t, err)
	require.Equal(t, 1, l.held, "the first try has ended, the second has not")
	content(t, resp)
	l.requireEnded(t, 2, policy.Failure, policy.Success)
}

// What a try holds of the limit of its key has an end, however the try has one.
func TestRateLimitOfAKeyGetsBackWhatItGave(t *testing.T) {
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		base answer
		gate gateFunc
		ends policy.Outcome
	}{
		"error":       {base: failing(errReset), ends: policy.Failure},
		"black hole":  {base: blackHole, ends: policy.Failure},
		"panic":       {base: func(*http.Request) (*http.Response, error) { panic(refused) }},
		"later gate":  {gate: func(context.Context) (policy.Permit, error) { return policy.Permit{}, refused }},
		"its panic":   {gate: func(context.Context) (policy.Permit, error) { panic(refused) }},
		"no response": {base: func(*http.Request) (*http.Response, error) { return nil, nil }}, //nolint:nilnil // a mistake of the base
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := new(limits)
				opts := []transport.Option{transport.WithRateLimit(l.of)}
				if c.gate != nil {
					opts = append(opts, transport.WithGate(c.gate))
				}
				cfg := transport.Config{Timeouts: &transport.Timeouts{Total: time.Second}}
				tr := transport.New(roundTrip(c.base), cfg, opts...)
				func() {
					defer func() { _ = recover() }()
					_, err := tr.RoundTrip(get(t))
					require.Error(t, err)
				}()
				l.requireEnded(t, 1, c.ends)
			})
		})
	}
}

// Rows 6 to 8: no place is held while a turn is waited for; what the key's own limit
// or its open breaker refuses costs no turn.
func TestRateLimitOfAKeyIsAskedInItsRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := make(chan struct{})
		l := &limits{admit: func(context.Context) (policy.Permit, error) { <-turn; return policy.Permit{}, nil }}
		tr := transport.New(newPeer(status(http.StatusOK)), transport.Config{
			RateLimit:   &policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: -1},
			Concurrency: &policy.ConcurrencyConfig{Limit: 1},
			Breaker:     &policy.CircuitBreakerConfig{FailureThreshold: 1},
		}, transport.WithRateLimit(l.of))
		var call sync.WaitGroup
		call.Go(func() {
			resp, err := tr.RoundTrip(get(t))
			require.NoError(t, err)
			content(t, resp)
		})
		synctest.Wait()
		require.Zero(t, state(t, tr).Concurrency.InFlight)
		close(turn)
		call.Wait()

		_, err := tr.RoundTrip(get(t))
		require.ErrorIs(t, err, policy.ErrRateLimitExceeded, "its own")
		breaker, ok := tr.Breaker("http://peer.test:80")
		require.True(t, ok)
		breaker.ForceOpen(t.Context())
		time.Sleep(2 * time.Hour)
		_, err = tr.RoundTrip(get(t))
		require.ErrorIs(t, err, policy.ErrCircuitOpen)
		l.requireEnded(t, 1, policy.Success)
	})
}

// The gate knows the total timeout, which is no deadline of the caller's context.
func TestTurnThatWouldComeAfterTheTotalTimeoutIsRefusedAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		total, deadline time.Duration
		waits           bool
	}{
		"total timeout":     {total: 9 * time.Second},
		"caller's deadline": {total: time.Hour, deadline: 9 * time.Second},
		"fits both":         {total: 11 * time.Second, deadline: 11 * time.Second, waits: true},
		"no bound":          {total: -1, waits: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 1, Per: 10 * time.Second})
				p := newPeer(status(http.StatusOK))
				tr := transport.New(p, transport.Config{Timeouts: &transport.Timeouts{Total: c.total, Attempt: -1}},
					transport.WithRateLimit(func(string) policy.Gate { return shared }))
				require.True(t, shared.Allow())
				req := get(t)
				if c.deadline > 0 {
					ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
					defer cancel()
					req = req.WithContext(ctx)
				}
				began := time.Now()
				resp, err := tr.RoundTrip(req)
				if c.waits {
					require.NoError(t, err)
					content(t, resp)
					require.Equal(t, 10*time.Second, time.Since(began))
					return
				}
				require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
				require.Zero(t, time.Since(began))
				require.Empty(t, p.seen())
			})
		})
	}
}

// The last response is not lost to a limit that refuses the retry.
func TestRetryThatTheRateLimitOfAKeyRefusesLeavesTheResponse(t *testing.T) {
	tr := transport.New(newPeer(status(http.StatusServiceUnavailable)),
		transport.Config{Retry: &transport.Retry{InitialBackoff: time.Millisecond}},
		transport.WithRateLimit(func(string) policy.Gate {
			return policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: -1})
		}))
	resp, err := tr.RoundTrip(get(t))
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Equal(t, "Service Unavailable", content(t, resp))
}

// Keys over the bound share gates; one in use that says so does not leave.
func TestRateLimitsOfKeysOverTheBoundAreShared(t *testing.T) {
	names := map[string]int{}
	tr := transport.New(emptyOK, transport.Config{MaxKeys: 10}, transport.WithRateLimit(func(key string) policy.Gate {
		names[key]++
		return policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: -1})
	}))
	passed := 0
	for i := range 3000 {
		resp, err := tr.RoundTrip(host(t, i))
		if err == nil {
			passed++
			_ = resp.Body.Close()
		}
	}
	require.Greater(t, len(names), 10+200, "hosts spread over them")
	require.LessOrEqual(t, len(names), 10+256)
	require.Equal(t, len(names), passed)
	for name, made := range names {
		require.Equal(t, 1, made, name)
		require.Regexp(t, `^(http://h\d\.test:80|\(shared \d+\))$`, name)
	}
	for i := range 10 {
		_, err := tr.RoundTrip(host(t, i))
		require.ErrorIs(t, err, policy.ErrRateLimitExceeded, "it has not been forgotten")
	}
}

// A gate that does not say whether it is idle holds nobody up.
func TestKeyLeavesWithItsRateLimit(t *testing.T) {
	l := new(limits)
	tr := transport.New(emptyOK, transport.Config{MaxKeys: 2}, transport.WithRateLimit(l.of))
	for i := range 100 {
		resp, err := tr.RoundTrip(host(t, i))
		require.NoError(t, err)
		_ = resp.Body.Close()
	}
	require.Len(t, l.names, 100)
	require.NotContains(t, strings.Join(l.names, " "), "(shared")
}
