package transport_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// tracing is telemetry that records every span and propagates it.
func tracing(t testing.TB) transport.Option {
	spans := sdktrace.NewTracerProvider()
	t.Cleanup(func() { require.NoError(t, spans.Shutdown(t.Context())) })
	return transport.WithTelemetry(otel.New(
		otel.WithTracerProvider(spans), otel.WithPropagators(propagation.TraceContext{}),
	))
}

// Trap 27: each try has a span of its own, and its server must see that one.
func TestTrap27TraceparentDiffersPerAttempt(t *testing.T) {
	var mu sync.Mutex
	var got []string
	eachProtocol(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("Traceparent"))
		if len(got) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}, func(t *testing.T, srv *httptest.Server) {
		got = nil
		tr := transport.New(srv.Client().Transport, transport.Config{Retry: quick()}, tracing(t))
		req := request(t, http.MethodGet, srv.URL, nil)
		resp, err := (&http.Client{Transport: tr}).Do(req)
		require.NoError(t, err)
		content(t, resp)
		require.Len(t, got, 3)
		traces, spans := map[string]bool{}, map[string]bool{}
		for _, one := range got {
			parts := strings.Split(one, "-") // version, trace, span, flags
			require.Len(t, parts, 4)
			traces[parts[1]], spans[parts[2]] = true, true
		}
		require.Len(t, traces, 1, "one call is one trace")
		require.Len(t, spans, 3, "each try is a span")
		require.Empty(t, req.Header, "the caller's headers were changed")
	})
}

// Trap 27: a signature holds for one try: it is made for each, over the headers
// that are sent.
func TestTrap27SignerRunsPerAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(503), status(503), status(200))
		var signed []string
		sign := func(r *http.Request) error {
			require.Empty(t, r.Header.Get("X-Signature"), "the signature of the try before")
			signed = append(signed, r.Header.Get("Traceparent"))
			r.Header.Set("X-Signature", strconv.Itoa(len(signed)))
			r.Header.Del("X-Mine")
			return nil
		}
		tr := transport.New(p, transport.Default(), transport.WithSigner(sign), tracing(t))
		req := request(t, http.MethodPut, "http://peer.test/", strings.NewReader("content"))
		req.Header.Set("X-Mine", "kept")
		header := req.Header.Clone()
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		content(t, resp)
		require.Len(t, p.seen(), 3)
		for i, seen := range p.seen() {
			require.Equal(t, strconv.Itoa(i+1), seen.header.Get("X-Signature"))
			require.Equal(t, signed[i], seen.header.Get("Traceparent"))
			require.Empty(t, seen.header.Get("X-Mine"))
		}
		require.Equal(t, header, req.Header)
	})
}

// Trap 27, failing: what cannot be signed is not sent, not repeated, and no
// fault of the peer.
func TestTrap27SigningErrorEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(503), status(200))
		cfg := transport.Default()
		cfg.Breaker = &policy.CircuitBreakerConfig{FailureThreshold: 1}
		cfg.Concurrency = &policy.ConcurrencyConfig{Limit: 1}
		var asked int
		tr := transport.New(p, cfg, transport.WithSigner(func(*http.Request) error {
			asked++
			return errReset
		}))
		body := bodyOf(strings.NewReader("content"))
		resp, err := tr.RoundTrip(request(t, http.MethodPut, "http://peer.test/", body))
		require.Nil(t, resp)
		require.ErrorIs(t, err, errReset)
		require.Equal(t, 1, asked)
		require.Empty(t, p.seen())
		require.EqualValues(t, 1, body.closed.Load())
		require.Equal(t, policy.Closed, state(t, tr).Breaker.State)
		requireGivenBack(t, tr)
	})
}

// Trap 27: calls whose requests share one header map, as those of a client with
// fixed headers do, do not write to it, nor to one another's.
func TestTrap27HeaderMapIsNotShared(t *testing.T) {
	var n atomic.Int32
	base := roundTrip(func(r *http.Request) (*http.Response, error) {
		r.Header.Set("X-Seen", r.Header.Get("X-Signature")) // the race detector watches
		if n.Add(1)%2 == 0 {
			return response(503, strings.NewReader("busy")), nil
		}
		return response(200, strings.NewReader("ok")), nil
	})
	cfg := transport.Config{Retry: quick()}
	cfg.Retry.Budget = &policy.BudgetConfig{Burst: 1000}
	var signatures atomic.Int32
	tr := transport.New(base, cfg, tracing(t), transport.WithSigner(func(r *http.Request) error {
		r.Header.Set("X-Signature", strconv.Itoa(int(signatures.Add(1))))
		return nil
	}))
	shared := http.Header{"X-Fixed": {"value"}}
	var calls sync.WaitGroup
	errs := make([]error, 50)
	for i := range errs {
		calls.Go(func() {
			req := request(t, http.MethodGet, "http://peer.test/", nil)
			req.Header = shared
			resp, err := tr.RoundTrip(req)
			if errs[i] = err; err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	calls.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, http.Header{"X-Fixed": {"value"}}, shared)
	require.Equal(t, n.Load(), signatures.Load(), "one signature per try")
}
