package transport_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

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
