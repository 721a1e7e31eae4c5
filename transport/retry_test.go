package transport_test

import (
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
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

// Trap 10: what may have had an effect is not done twice.
func TestTrap10OnlyWhatIsSafeToRepeatIsRepeated(t *testing.T) {
	const once, thrice = 1, 3
	plain := func(r *http.Request) *http.Request { return r }
	keyed := func(r *http.Request) *http.Request {
		r.Header.Set("Idempotency-Key", "one")
		return r
	}
	allowed := func(r *http.Request) *http.Request { return r.WithContext(policy.AllowRetry(r.Context())) }
	for _, c := range []struct {
		name   string
		method string
		answer answer
		with   func(*http.Request) *http.Request
		tries  int
	}{
		{"POST 500", "POST", status(500), plain, once},
		{"POST 503", "POST", status(503), plain, once},
		{"POST 503 with Retry-After", "POST", status(503, "Retry-After", "1"), plain, once},
		{"POST 429", "POST", status(429), plain, once},
		{"POST reset", "POST", failing(errReset), plain, once},
		{"POST timeout", "POST", blackHole, plain, once},
		{"PATCH 500", "PATCH", status(500), plain, once},
		{"PATCH 503", "PATCH", status(503), plain, once},
		{"PATCH timeout", "PATCH", blackHole, plain, once},
		{"unknown method", "FROB", status(503), plain, once},
		{"POST dial error", "POST", failing(dialError()), plain, thrice},
		{"PATCH dial error", "PATCH", failing(dialError()), plain, thrice},
		{"POST 503, keyed", "POST", status(503), keyed, thrice},
		{"POST reset, keyed", "POST", failing(errReset), keyed, thrice},
		{"POST timeout, keyed", "POST", blackHole, keyed, thrice},
		{"POST 500, keyed", "POST", status(500), keyed, once},
		{"PATCH 503, allowed", "PATCH", status(503), allowed, thrice},
		{"PATCH timeout, allowed", "PATCH", blackHole, allowed, thrice},
		{"GET 500", "GET", status(500), plain, thrice},
		{"HEAD 500", "HEAD", status(500), plain, thrice},
		{"GET timeout", "GET", blackHole, plain, thrice},
		{"PUT 500", "PUT", status(500), plain, once},
		{"PUT 503", "PUT", status(503), plain, thrice},
		{"DELETE 502", "DELETE", status(502), plain, thrice},
		{"DELETE 504", "DELETE", status(504), plain, thrice},
		{"GET 425", "GET", status(425), plain, thrice},
		{"GET 501", "GET", status(501), plain, once},
		{"GET 404", "GET", status(404), plain, once},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(c.answer)
				cfg := transport.Config{
					Timeouts: &transport.Timeouts{Total: 10 * time.Second, Attempt: time.Second},
					Retry:    quick(),
				}
				tr := transport.New(p, cfg)
				resp, err := tr.RoundTrip(c.with(request(t, c.method, "http://peer.test/", strings.NewReader("order"))))
				if err == nil {
					_ = resp.Body.Close()
				}
				require.Len(t, p.seen(), c.tries)
				for _, seen := range p.seen() {
					require.Equal(t, "order", seen.content)
				}
				p.requireClosed(t)
			})
		})
	}
}

// Trap 10, timeout: a POST that times out is reported as such, after all the
// time that there was, since no retry could use it.
func TestTrap10TimedOutPostIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(blackHole)
		var seen decisions
		tr := transport.New(p, transport.Default(), transport.WithObserver(&seen))
		began := time.Now()
		resp, err := tr.RoundTrip(request(t, http.MethodPost, "http://peer.test/", strings.NewReader("order")))
		require.Nil(t, resp)
		require.ErrorIs(t, err, policy.ErrTimeout)
		require.NotErrorIs(t, err, policy.ErrMaxRetriesExceeded)
		require.Equal(t, 30*time.Second, time.Since(began).Round(time.Millisecond))
		require.Len(t, p.seen(), 1)
	})
}

// Trap 10, unsent: any method is repeated when no byte of it can have left.
func TestTrap10PostIsRepeatedWhenNothingWasSent(t *testing.T) {
	var got atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if string(b) == "order" {
			got.Add(1)
		}
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	for _, c := range []struct {
		name string
		fail func(base *http.Transport, first *atomic.Bool)
		why  policy.Reason
	}{
		{"dial refused", func(base *http.Transport, first *atomic.Bool) {
			base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if first.Swap(false) {
					return nil, dialError()
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
		}, policy.ReasonDialError},
		{"closed in the TLS handshake", func(base *http.Transport, first *atomic.Bool) {
			base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				if err == nil && first.Swap(false) {
					conn.Close()
				}
				return conn, err
			}
		}, policy.ReasonUnsent},
	} {
		t.Run(c.name, func(t *testing.T) {
			got.Store(0)
			base := srv.Client().Transport.(*http.Transport).Clone()
			defer base.CloseIdleConnections()
			var first atomic.Bool
			first.Store(true)
			c.fail(base, &first)
			var seen decisions
			tr := transport.New(base, transport.Config{Retry: quick()}, transport.WithObserver(&seen))
			resp, err := tr.RoundTrip(request(t, http.MethodPost, srv.URL, strings.NewReader("order")))
			require.NoError(t, err)
			content(t, resp)
			require.EqualValues(t, 1, got.Load())
			require.Len(t, transport.Attempts(resp), 2)
			require.Equal(t, []policy.Reason{c.why}, seen.reasons(policy.PolicyRetry, policy.ActionWait))
		})
	}
}

// Trap 11: when the retries run out on answers, the last is the caller's.
func TestTrap11ExhaustionKeepsTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(502), status(504), status(503))
		tr := transport.New(p, transport.Default())
		resp, err := (&http.Client{Transport: tr}).Do(get(t))
		require.NoError(t, err)
		require.Equal(t, 503, resp.StatusCode)
		require.Zero(t, p.bodies[2].read.Load(), "read ahead of the caller")
		require.Equal(t, http.StatusText(503), content(t, resp))
		require.Equal(t, []int{502, 504, 503}, statuses(transport.Attempts(resp)))
		p.requireClosed(t)
		requireGivenBack(t, tr)
	})
}

func statuses(tries []transport.Attempt) []int {
	var all []int
	for _, a := range tries {
		all = append(all, a.StatusCode)
	}
	return all
}

// Trap 11, errors: when they run out on errors, the last is wrapped, with the
// count and the history.
func TestTrap11ExhaustionOnErrorsTellsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(503), failing(io.ErrUnexpectedEOF), failing(errReset))
		tr := transport.New(p, transport.Default())
		resp, err := (&http.Client{Transport: tr}).Do(get(t))
		require.Nil(t, resp)
		require.ErrorIs(t, err, policy.ErrMaxRetriesExceeded)
		require.ErrorIs(t, err, errReset)
		own, ok := errors.AsType[*policy.Error](err)
		require.True(t, ok)
		require.Equal(t, 3, own.Attempts)
		require.Contains(t, err.Error(), "after 3 attempts")
		history := transport.AttemptsOf(err)
		require.Equal(t, []int{503, 0, 0}, statuses(history))
		require.ErrorIs(t, history[1].Err, io.ErrUnexpectedEOF)
		p.requireClosed(t)
		requireGivenBack(t, tr)
	})
}

// Trap 11, refused: when a gate refuses the retry, the response before is still
// whole.
func TestTrap11RefusedRetryKeepsTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(503))
		tr := transport.New(p, transport.Config{
			Retry:     &transport.Retry{},
			RateLimit: &policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: time.Millisecond},
		})
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.Equal(t, 503, resp.StatusCode)
		require.Zero(t, p.bodies[0].read.Load())
		require.Equal(t, http.StatusText(503), content(t, resp))
		require.Len(t, p.seen(), 1)
		require.Len(t, transport.Attempts(resp), 1)
		p.requireClosed(t)
	})
}

// Trap 11, open: a breaker that opens during the backoff ends it, and the
// response before is the caller's at once.
func TestTrap11BreakerThatOpensDuringTheBackoffKeepsTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(503, "Retry-After", "20"))
		tr := transport.New(p, transport.Default())
		time.AfterFunc(time.Second, func() {
			b, _ := tr.Breaker("http://peer.test:80")
			b.ForceOpen(t.Context())
		})
		began := time.Now()
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(began))
		require.Equal(t, http.StatusText(503), content(t, resp))
		p.requireClosed(t)
	})
}

// Trap 11, gone: a caller who goes away during the backoff gets its own error
// and the response is closed.
func TestTrap11CancelDuringTheBackoffClosesTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(503, "Retry-After", "20"))
		tr := transport.New(p, transport.Default())
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("caller gone")
		time.AfterFunc(time.Second, func() { cancel(gone) })
		began := time.Now()
		resp, err := tr.RoundTrip(get(t).WithContext(ctx))
		require.Nil(t, resp)
		require.ErrorIs(t, err, gone)
		require.Equal(t, time.Second, time.Since(began))
		synctest.Wait()
		p.requireClosed(t)
		requireGivenBack(t, tr)
	})
}

// Trap 12: a refusal says that it is local, why, and until when; an outer
// transport neither repeats it nor counts it.
func TestTrap12RefusalsAreTypedAndLeftAloneOutside(t *testing.T) {
	trip := transport.Config{Breaker: &policy.CircuitBreakerConfig{FailureThreshold: 1}}
	throttled := transport.Config{Throttle: &transport.Throttle{MaxWait: -1}}
	for _, c := range []struct {
		name       string
		inner      transport.Config
		first      answer
		sentinel   error
		reason     policy.Reason
		retryAfter time.Duration
		hold       bool // keep the first body
	}{
		{name: "breaker", inner: trip, first: status(500), sentinel: policy.ErrCircuitOpen, reason: policy.ReasonCircuitOpen, retryAfter: time.Minute},
		{
			name:  "rate limit",
			inner: transport.Config{RateLimit: &policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: time.Second}},
			first: status(200), sentinel: policy.ErrRateLimitExceeded, reason: policy.ReasonRateLimit, retryAfter: time.Hour,
		},
		{name: "throttle", inner: throttled, first: status(429, "Retry-After", "25"), sentinel: policy.ErrRateLimitExceeded, reason: policy.ReasonKeyHeld, retryAfter: 25 * time.Second},
		{
			name:  "concurrency",
			inner: transport.Config{Concurrency: &policy.ConcurrencyConfig{Limit: 1}},
			first: status(200), sentinel: policy.ErrSaturated, reason: policy.ReasonLimitReached, hold: true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(c.first)
				inner := transport.New(p, c.inner)
				var asked atomic.Int32
				counted := roundTrip(func(r *http.Request) (*http.Response, error) {
					asked.Add(1)
					return inner.RoundTrip(r)
				})
				outer := transport.New(counted, transport.Config{
					Retry: &transport.Retry{}, Breaker: &policy.CircuitBreakerConfig{FailureThreshold: 1},
				})
				before, err := inner.RoundTrip(get(t))
				require.NoError(t, err)
				if !c.hold {
					content(t, before)
				}

				_, err = (&http.Client{Transport: outer}).Do(get(t))
				_, ok := errors.AsType[*url.Error](err)
				require.True(t, ok)
				require.ErrorIs(t, err, c.sentinel)
				own, ok := errors.AsType[*policy.Error](err)
				require.True(t, ok)
				require.Equal(t, c.reason, own.Reason)
				require.Equal(t, "http://peer.test:80", own.Key)
				require.Contains(t, err.Error(), "locally")
				require.InDelta(t, c.retryAfter, own.RetryAfter, float64(c.retryAfter)/5)
				require.False(t, own.Timeout())

				require.EqualValues(t, 1, asked.Load(), "a refusal was repeated")
				require.Len(t, p.seen(), 1)
				s := state(t, outer)
				require.Equal(t, policy.Closed, s.Breaker.State)
				require.Zero(t, s.Breaker.FailuresInARow)
				require.EqualValues(t, 10, s.BudgetTokens)
				require.NoError(t, before.Body.Close())
				requireGivenBack(t, inner)
				requireGivenBack(t, outer)
			})
		})
	}
}
