package main

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Peers, of whom the proxy is trusted.
const (
	proxy    = "10.0.0.7:4711"
	stranger = "192.0.2.1:4711"
)

// small is a service with room for one request and one that waits for it.
func small() config {
	return config{
		deadline: shed.DeadlineConfig{Max: time.Minute},
		quota:    policy.RateLimiterConfig{Limit: 100},
		room:     policy.ConcurrencyConfig{Limit: 1, MaxQueue: 1, MaxWait: 5 * time.Second},
		trusted:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		api:      api{takes: 20 * time.Millisecond, report: time.Second, every: time.Second},
	}
}

// onBoth runs test in virtual time against both routers, and hands it the spans
// that have ended.
func onBoth(t *testing.T, cfg config, test func(*testing.T, http.Handler, *tracetest.InMemoryExporter)) {
	routers := []struct {
		name  string
		mount func(*service) http.Handler
	}{{"chi", (*service).onChi}, {"ServeMux", (*service).onServeMux}}
	for _, router := range routers {
		t.Run(router.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				spans := tracetest.NewInMemoryExporter()
				cfg.tracing = sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
				s, err := newService(cfg)
				require.NoError(t, err)
				defer s.stopStreams()
				test(t, router.mount(s), spans)
			})
		})
	}
}

func TestBothRoutersAnswerAlike(t *testing.T) {
	cases := []struct {
		name, path, peer, budget string
		status                   int
		body                     string
	}{
		{name: "an item", path: "/items/42", status: 200, body: `{"item":"42"}`},
		{name: "no such item", path: "/items/0", status: 404, body: "no such item"},
		{name: "no such route", path: "/nowhere", status: 404, body: "404 page not found"},
		{name: "a report", path: "/reports/7", status: 200, body: `{"report":"7"}`},
		{name: "a report that its caller will not wait for", path: "/reports/7", peer: proxy, budget: "300", status: 504, body: `"status":504`},
		{name: "a stranger's budget", path: "/reports/7", peer: stranger, budget: "300", status: 200, body: `{"report":"7"}`},
		{name: "no time left", path: "/items/42", peer: proxy, budget: "0", status: 503, body: "Too little time"},
		{name: "health", path: "/healthz", status: 204},
		{name: "readiness", path: "/readyz", status: 204},
	}
	onBoth(t, small(), func(t *testing.T, h http.Handler, spans *tracetest.InMemoryExporter) {
		for _, c := range cases {
			r := get(c.path, c.peer)
			if c.budget != "" {
				r.Header.Set("X-Envoy-Expected-Rq-Timeout-Ms", c.budget)
			}
			w := serve(h, r)
			require.Equal(t, c.status, w.Code, c.name)
			require.Contains(t, w.Body.String(), c.body, c.name)
		}
		requireRefusal(t, spans, "magnetar.deadline.timeout", "/reports/{id}")
		requireRefusal(t, spans, "magnetar.deadline.refuse", "/items/{id}")
	})
}

func TestQuotaIsOfEachPeer(t *testing.T) {
	cfg := small()
	cfg.quota = policy.RateLimiterConfig{Limit: 2, Per: time.Minute}
	onBoth(t, cfg, func(t *testing.T, h http.Handler, spans *tracetest.InMemoryExporter) {
		for range 2 {
			require.Equal(t, http.StatusOK, serve(h, get("/items/42", stranger)).Code)
		}
		w := serve(h, get("/items/42", stranger))
		require.Equal(t, http.StatusTooManyRequests, w.Code)
		require.Equal(t, `"default";q=2;w=60`, w.Header().Get("Ratelimit-Policy"))
		require.Equal(t, `"default";r=0;t=30`, w.Header().Get("Ratelimit"))
		require.NotEmpty(t, w.Header().Get("Retry-After"))
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		requireRefusal(t, spans, "magnetar.quota.refuse", "/items/{id}")

		require.Equal(t, http.StatusTooManyRequests, serve(h, get("/nowhere", stranger)).Code, "404s count as well")
		require.Equal(t, http.StatusNoContent, serve(h, get("/healthz", stranger)).Code, "health does not")
		require.Equal(t, http.StatusOK, serve(h, get("/items/42", proxy)).Code)
	})
}

func TestOverloadIsRefusedButHealthIsAnswered(t *testing.T) {
	onBoth(t, small(), func(t *testing.T, h http.Handler, spans *tracetest.InMemoryExporter) {
		inFlight := begin(h, get("/reports/1", stranger))
		waiting := begin(h, get("/reports/2", stranger))

		w := serve(h, get("/items/42", stranger))
		require.Equal(t, http.StatusOK, w.Code, "an item takes the place of a report in the queue")
		require.Equal(t, http.StatusServiceUnavailable, (<-waiting).Code)
		require.Equal(t, http.StatusOK, (<-inFlight).Code)

		inFlight, waiting = begin(h, get("/items/1", stranger)), begin(h, get("/items/2", stranger))
		w = serve(h, get("/items/3", stranger))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		require.Contains(t, w.Body.String(), `"status":503`)
		require.NotEmpty(t, w.Header().Get("Retry-After"))
		requireRefusal(t, spans, "magnetar.shed.refuse", "/items/{id}")
		for _, path := range []string{"/healthz", "/readyz"} {
			require.Equal(t, http.StatusNoContent, serve(h, get(path, stranger)).Code, path)
		}
		require.Equal(t, http.StatusOK, (<-inFlight).Code)
		require.Equal(t, http.StatusOK, (<-waiting).Code)
	})
}

func TestPriorityIsBelievedFromTrustedPeersOnly(t *testing.T) {
	onBoth(t, small(), func(t *testing.T, h http.Handler, _ *tracetest.InMemoryExporter) {
		inFlight := begin(h, get("/items/1", stranger))
		waiting := begin(h, get("/items/2", stranger))

		claims := get("/items/3", stranger)
		claims.Header.Set("X-Priority", "critical")
		require.Equal(t, http.StatusServiceUnavailable, serve(h, claims).Code)

		trusted := get("/items/4", proxy)
		trusted.Header.Set("X-Priority", "critical")
		require.Equal(t, http.StatusOK, serve(h, trusted).Code)
		require.Equal(t, http.StatusServiceUnavailable, (<-waiting).Code)
		require.Equal(t, http.StatusOK, (<-inFlight).Code)
	})
}

func get(path, peer string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	if peer != "" {
		r.RemoteAddr = peer
	}
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// begin serves r on a goroutine of its own, and returns when it got as far as it
// can.
func begin(h http.Handler, r *http.Request) <-chan *httptest.ResponseRecorder {
	answers := make(chan *httptest.ResponseRecorder, 1)
	go func() { answers <- serve(h, r) }()
	synctest.Wait()
	return answers
}

// requireRefusal looks for a refusal under the span of its request.
func requireRefusal(t *testing.T, spans *tracetest.InMemoryExporter, name, route string) {
	t.Helper()
	servers := map[trace.SpanID]tracetest.SpanStub{}
	var refusals []tracetest.SpanStub
	for _, s := range spans.GetSpans() {
		switch {
		case s.SpanKind == trace.SpanKindServer:
			servers[s.SpanContext.SpanID()] = s
		case s.Name == name && attributeOf(s, "http.route") == route:
			refusals = append(refusals, s)
		}
	}
	require.NotEmpty(t, refusals)
	for _, r := range refusals {
		server, ok := servers[r.Parent.SpanID()]
		require.True(t, ok, "under the server's span")
		require.Equal(t, route, attributeOf(server, "http.route"))
		require.Equal(t, "GET "+route, server.Name)
	}
}

func attributeOf(s tracetest.SpanStub, key attribute.Key) string {
	for _, kv := range s.Attributes {
		if kv.Key == key {
			return kv.Value.AsString()
		}
	}
	return ""
}
