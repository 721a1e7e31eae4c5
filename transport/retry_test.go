package transport_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// Trap 4: a response that is left behind by a retry must not keep its
// connection or a goroutine.
func TestTrap04RetriedResponsesAreDrainedAndClosed(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var asked atomic.Int32
	page := pattern(8 << 10)
	handler := func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1)%3 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write(page)
	}
	eachProtocol(t, handler, func(t *testing.T, srv *httptest.Server) {
		asked.Store(0)
		var dials, opened atomic.Int32
		var bodies []*countingBody
		base := srv.Client().Transport.(*http.Transport)
		base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		counting := roundTrip(func(req *http.Request) (*http.Response, error) {
			resp, err := base.RoundTrip(req)
			if err == nil {
				opened.Add(1)
				b := &closing{countingBody: bodyOf(resp.Body), inner: resp.Body}
				bodies = append(bodies, b.countingBody)
				resp.Body = b
			}
			return resp, err
		})
		cfg := transport.Config{Retry: quick()}
		cfg.Retry.Budget = &policy.BudgetConfig{Burst: 1000}
		client := &http.Client{Transport: transport.New(counting, cfg)}
		for range 100 {
			resp, err := client.Do(request(t, http.MethodGet, srv.URL, nil))
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Len(t, content(t, resp), len(page))
		}
		require.EqualValues(t, 300, opened.Load())
		for i, b := range bodies {
			require.EqualValues(t, 1, b.closed.Load(), "closes of response body %d", i+1)
		}
		require.LessOrEqual(t, dials.Load(), int32(2), "connections")
	})
}

// closing is a countingBody over one that must be closed too.
type closing struct {
	*countingBody
	inner io.Closer
}

func (c *closing) Close() error {
	_ = c.countingBody.Close()
	return c.inner.Close()
}

// Trap 5: a response that hangs while it is drained must not hold up the retry.
func TestTrap05HangingBodyDoesNotHoldUpTheRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var asked []time.Time
		base, _ := pipeServer(t, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked = append(asked, time.Now())
			first := len(asked) == 1
			mu.Unlock()
			if !first {
				return
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "and then nothing")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		tr := transport.New(base, transport.Config{Retry: quick(), Concurrency: &policy.ConcurrencyConfig{Limit: 1}})
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		content(t, resp)
		require.Len(t, asked, 2)
		require.Less(t, asked[1].Sub(asked[0]), 100*time.Millisecond)
		requireGivenBack(t, tr)
	})
}

// Trap 5, large: no more is drained than a connection is worth.
func TestTrap05HugeBodyIsHardlyRead(t *testing.T) {
	const size = 1 << 30
	for name, length := range map[string]int64{"known length": size, "unknown length": -1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				huge := func(*http.Request) (*http.Response, error) {
					resp := response(503, io.LimitReader(zeros{}, size))
					resp.ContentLength = length
					return resp, nil
				}
				p := newPeer(huge, status(200))
				tr := transport.New(p, transport.Config{Retry: quick()})
				resp, err := tr.RoundTrip(get(t))
				require.NoError(t, err)
				content(t, resp)
				synctest.Wait()
				require.LessOrEqual(t, p.bodies[0].read.Load(), int64(64<<10))
				p.requireClosed(t)
			})
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// Trap 7: jitter is added to a Retry-After, never taken off it, whatever the
// peer's clock says.
func TestTrap07NeverBeforeRetryAfter(t *testing.T) {
	seconds := func(asked, _ time.Duration) answer {
		return status(503, "Retry-After", strconv.Itoa(int(asked.Seconds())))
	}
	date := func(asked, skew time.Duration) answer {
		at := time.Now().Add(skew)
		return status(429, "Date", httpDate(at), "Retry-After", httpDate(at.Add(asked)))
	}
	for name, ask := range map[string]func(asked, skew time.Duration) answer{"seconds": seconds, "date": date} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := transport.Config{Retry: &transport.Retry{Budget: &policy.BudgetConfig{Burst: 2000}}}
				var current atomic.Pointer[peer]
				base := roundTrip(func(r *http.Request) (*http.Response, error) { return current.Load().RoundTrip(r) })
				tr := transport.New(base, cfg)
				waits := map[time.Duration]bool{}
				for range 1000 {
					asked := time.Duration(1+rand.IntN(20)) * time.Second
					skew := time.Duration(rand.IntN(7200)-3600) * time.Second
					p := newPeer(ask(asked, skew), status(200))
					current.Store(p)
					resp, err := tr.RoundTrip(get(t))
					require.NoError(t, err)
					content(t, resp)
					seen := p.seen()
					require.Len(t, seen, 2)
					waited := seen[1].at.Sub(seen[0].at)
					require.GreaterOrEqual(t, waited, asked)
					require.LessOrEqual(t, waited, asked+100*time.Millisecond)
					waits[waited-asked] = true
				}
				require.Greater(t, len(waits), 100, "no jitter")
			})
		})
	}
}

func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// Trap 7, without a Date the own clock is the base.
func TestTrap07DateAloneIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().Add(3 * time.Second)
		p := newPeer(status(503, "Retry-After", httpDate(at)), status(200))
		tr := transport.New(p, transport.Config{Retry: &transport.Retry{}})
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		content(t, resp)
		require.False(t, p.seen()[1].at.Before(at))
	})
}

// Trap 8: a Retry-After that cannot be waited for is the caller's to handle, at
// once and with its response.
func TestTrap08RetryAfterTooFarAheadIsDeclined(t *testing.T) {
	for _, c := range []struct {
		name     string
		retry    transport.Retry
		asked    string
		deadline time.Duration
		total    time.Duration
		why      policy.Reason
	}{
		{name: "above cap and deadline", asked: "3600", deadline: 10 * time.Second, why: policy.ReasonRetryAfter},
		{name: "above cap", asked: "31", deadline: time.Hour, why: policy.ReasonRetryAfter},
		{name: "above the caller's deadline", asked: "20", deadline: 10 * time.Second, why: policy.ReasonDeadline},
		{name: "above the total", asked: "20", total: 15 * time.Second, why: policy.ReasonDeadline},
		{name: "as long as the deadline", asked: "10", deadline: 10 * time.Second, why: policy.ReasonDeadline},
		{name: "cap of none", retry: transport.Retry{MaxRetryAfter: -1}, asked: "1", why: policy.ReasonRetryAfter},
		{name: "huge", asked: "99999999999999999999", why: policy.ReasonRetryAfter},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(status(429, "Retry-After", c.asked))
				cfg := transport.Default()
				cfg.Retry = &c.retry
				if c.total > 0 {
					cfg.Timeouts.Total = c.total
				}
				var seen decisions
				tr := transport.New(p, cfg, transport.WithObserver(&seen))
				req := get(t)
				if c.deadline > 0 {
					ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
					defer cancel()
					req = req.WithContext(ctx)
				}
				began := time.Now()
				resp, err := tr.RoundTrip(req)
				require.NoError(t, err)
				require.Equal(t, 429, resp.StatusCode)
				require.Less(t, time.Since(began), 10*time.Millisecond)
				require.Equal(t, http.StatusText(429), content(t, resp))
				require.Len(t, p.seen(), 1)
				require.Equal(t, []policy.Reason{c.why}, seen.reasons(policy.PolicyRetry, policy.ActionGiveUp))
				require.EqualValues(t, 10, state(t, tr).BudgetTokens, "budget was spent on no retry")
				requireGivenBack(t, tr)
			})
		})
	}
}

// Trap 9: a backoff that outlasts the deadline is not begun.
func TestTrap09BackoffBeyondTheDeadlineReturnsAtOnce(t *testing.T) {
	// Full jitter draws from all of a thousand hours: a second is never hit.
	far := &transport.Retry{InitialBackoff: 1000 * time.Hour, MaxBackoff: 1000 * time.Hour}
	for name, bound := range map[string]func(*transport.Config, *http.Request) (*http.Request, context.CancelFunc){
		"caller's deadline": func(_ *transport.Config, r *http.Request) (*http.Request, context.CancelFunc) {
			ctx, cancel := context.WithTimeout(r.Context(), time.Second)
			return r.WithContext(ctx), cancel
		},
		"total timeout": func(c *transport.Config, r *http.Request) (*http.Request, context.CancelFunc) {
			c.Timeouts = &transport.Timeouts{Total: time.Second, Attempt: time.Second}
			return r, func() {}
		},
		"timeouts of the call": func(_ *transport.Config, r *http.Request) (*http.Request, context.CancelFunc) {
			return r.WithContext(transport.WithTimeouts(r.Context(), transport.Timeouts{Total: time.Second})), func() {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(status(503))
				cfg := transport.Config{Retry: far}
				req, cancel := bound(&cfg, get(t))
				defer cancel()
				var seen decisions
				tr := transport.New(p, cfg, transport.WithObserver(&seen))
				began := time.Now()
				resp, err := tr.RoundTrip(req)
				require.NoError(t, err)
				require.Zero(t, time.Since(began))
				require.Equal(t, 503, resp.StatusCode)
				require.Equal(t, http.StatusText(503), content(t, resp))
				require.Equal(t, []policy.Reason{policy.ReasonDeadline}, seen.reasons(policy.PolicyRetry, policy.ActionGiveUp))
			})
		})
	}
}
