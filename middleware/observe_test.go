package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

var (
	refusal = policy.Decision{Policy: policy.PolicyShed, Action: policy.ActionRefuse, Reason: policy.ReasonLimitReached}
	overrun = policy.Decision{Policy: policy.PolicyDeadline, Action: policy.ActionTimeout, Reason: policy.ReasonOverrun}
)

// sdk is OpenTelemetry in memory.
type sdk struct {
	traces *sdktrace.TracerProvider
	meters *sdkmetric.MeterProvider
	spans  *tracetest.SpanRecorder
	reader *sdkmetric.ManualReader
}

func newSDK(t testing.TB, sampler sdktrace.Sampler) sdk {
	s := sdk{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	s.traces = sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithSpanProcessor(s.spans))
	s.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	t.Cleanup(func() {
		require.NoError(t, s.traces.Shutdown(context.Background()))
		require.NoError(t, s.meters.Shutdown(context.Background()))
	})
	return s
}

func (s sdk) telemetry() middleware.Option {
	return middleware.WithTelemetry(otel.New(otel.WithTracerProvider(s.traces),
		otel.WithMeterProvider(s.meters), otel.WithPropagators(propagation.TraceContext{})))
}

// server begins a server span around next, as otelhttp does.
func (s sdk) server(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := s.traces.Tracer("test").Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// decisions are the points of the counter of decisions.
func (s sdk) decisions(t testing.TB) []metricdata.DataPoint[int64] {
	var all metricdata.ResourceMetrics
	require.NoError(t, s.reader.Collect(context.Background(), &all))
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == "magnetar.decisions" {
				return m.Data.(metricdata.Sum[int64]).DataPoints
			}
		}
	}
	return nil
}

func (s sdk) routes(t testing.TB) map[string]int64 {
	routes := make(map[string]int64)
	for _, p := range s.decisions(t) {
		route, _ := p.Attributes.Value("http.route")
		routes[route.AsString()] += p.Value
	}
	return routes
}

func serve(h http.Handler, method, path string) {
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, nil))
}

func ok(http.ResponseWriter, *http.Request) {}

// routesOf serves path with the handler that mount makes, and returns the
// routes of the decisions that were told meanwhile.
func routesOf(path string, mount func(*middleware.Teller) http.Handler) []string {
	var routes []string
	t := middleware.NewTeller(middleware.WithTelemetry(nil), middleware.WithObserver(
		policy.ObserverFunc(func(_ context.Context, d policy.Decision) { routes = append(routes, d.Route) })))
	serve(mount(t), http.MethodGet, path)
	return routes
}

func TestDecisionsHaveTheRouteMatchedSoFar(t *testing.T) {
	// root tells before and after at the root, below a subrouter's and an
	// endpoint's middleware.
	root := func(t *middleware.Teller) http.Handler {
		r := chi.NewRouter()
		r.Use(t.Before(refusal), t.After(overrun))
		r.Get("/", ok)
		r.Get("/flat/{id}", ok)
		r.Route("/api", func(r chi.Router) {
			r.Route("/v1", func(r chi.Router) {
				r.Use(t.Before(refusal))
				r.With(t.Before(refusal)).Get("/orders/{id}", ok)
			})
		})
		r.Group(func(r chi.Router) {
			r.Use(t.Before(refusal))
			r.Get("/group/{id}", ok)
		})
		r.With(t.Before(refusal)).Post("/flat/{id}", ok)
		return r
	}
	mux := func(t *middleware.Teller) http.Handler {
		m := http.NewServeMux()
		for _, pattern := range []string{"GET /orders/{id}", "example.com/host/{$}", "GET example.com/both/{rest...}", "/plain"} {
			m.Handle(pattern, t.Before(refusal)(http.HandlerFunc(ok)))
		}
		below := chi.NewRouter()
		below.Use(t.Before(refusal), t.After(overrun))
		below.Get("/chi/{id}", ok)
		m.Handle("/chi/", below)
		return m
	}
	above := func(t *middleware.Teller) http.Handler { return t.Before(refusal)(mux(t)) }
	for _, c := range []struct {
		name, path string
		mount      func(*middleware.Teller) http.Handler
		want       []string
	}{
		{"chi, root", "/", root, []string{"unrouted", "/"}},
		{"chi, endpoint", "/flat/7", root, []string{"unrouted", "/flat/{id}"}},
		{"chi, group", "/group/7", root, []string{"unrouted", "/group/{id}", "/group/{id}"}},
		{
			"chi, subrouters", "/api/v1/orders/7", root,
			[]string{"unrouted", "/api/v1/*", "/api/v1/orders/{id}", "/api/v1/orders/{id}"},
		},
		{"chi, nothing", "/nothing", root, []string{"unrouted", "unmatched"}},
		{"chi, nothing in a subrouter", "/api/v1/nothing", root, []string{"unrouted", "/api/v1/*", "/api/v1/*"}},
		{"mux, method", "/orders/7", mux, []string{"/orders/{id}"}},
		{"mux, host", "/host/", mux, []string{"/host/{$}"}},
		{"mux, both", "/both/7/8", mux, []string{"/both/{rest...}"}},
		{"mux, plain", "/plain", mux, []string{"/plain"}},
		{"mux, from above", "/plain", above, []string{"unrouted", "/plain"}},
		{"chi below mux", "/chi/7", mux, []string{"/chi/", "/chi/{id}"}},
		{"no router", "/any", func(t *middleware.Teller) http.Handler {
			return t.Before(refusal)(http.HandlerFunc(ok))
		}, []string{"unrouted"}},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, routesOf(c.path, c.mount)) })
	}
}

func TestRoutesOfManyRoutersAreTold(t *testing.T) {
	for _, depth := range []int{4, 5, 9} {
		want := ""
		mount := func(t *middleware.Teller) http.Handler {
			h := t.Before(refusal)(http.HandlerFunc(ok))
			for i := range depth {
				r := chi.NewRouter()
				if i == 0 {
					r.Handle("/end", h)
				} else {
					r.Mount(fmt.Sprint("/", i), h)
					want = fmt.Sprint("/", i) + want
				}
				h = r
			}
			return h
		}
		path := ""
		for i := depth - 1; i > 0; i-- {
			path += fmt.Sprint("/", i)
		}
		got := routesOf(path+"/end", mount)
		require.Equal(t, []string{want + "/end"}, got)
	}
}

func TestDecisionsToldElsewhereKeepTheRouteThatWas(t *testing.T) {
	require.Equal(t, []string{"/orders/{id}"}, routesOf("/orders/7", func(t *middleware.Teller) http.Handler {
		r := chi.NewRouter()
		r.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				var ctx context.Context
				next.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), settledKey{}, &ctx)))
				chi.RouteContext(req.Context()).Reset() // as for the next request
				t.Tell(ctx, refusal)
			})
		})
		r.Get("/orders/{id}", func(_ http.ResponseWriter, req *http.Request) {
			*req.Context().Value(settledKey{}).(*context.Context) = middleware.Settled(t.Inbound(req))
		})
		return r
	}))
	ctx := t.Context()
	require.Equal(t, ctx, middleware.Settled(ctx), "without chi nothing moves")
}

type settledKey struct{}

func TestDecisionsAboutThePolicyItselfHaveNoRoute(t *testing.T) {
	resize := policy.Decision{Policy: policy.PolicyShed, Action: policy.ActionResize, Limit: 9}
	require.Equal(t, []string{""}, routesOf("/", func(t *middleware.Teller) http.Handler {
		r := chi.NewRouter()
		r.Use(t.After(resize))
		r.Get("/", ok)
		return r
	}))
}

// Inbound trap 16: a million distinct paths that nothing matches are one label.
func TestAMillionPathsMakeOneSeries(t *testing.T) {
	paths := 1_000_000
	if raceEnabled {
		paths = 20_000
	}
	s := newSDK(t, sdktrace.NeverSample())
	teller := middleware.NewTeller(s.telemetry())
	r := chi.NewRouter()
	r.NotFound(func(http.ResponseWriter, *http.Request) {})
	r.Use(teller.After(refusal))
	r.Get("/orders/{id}", ok)
	w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	for i := range paths {
		req.URL.Path = fmt.Sprint("/nothing/", i)
		r.ServeHTTP(w, req)
	}
	require.Equal(t, map[string]int64{"unmatched": int64(paths)}, s.routes(t))
	require.Len(t, s.decisions(t), 1)
}

func TestDecisionsAreTheServerSpansChildren(t *testing.T) {
	s := newSDK(t, sdktrace.AlwaysSample())
	r := chi.NewRouter()
	r.Use(s.server)
	r.With(middleware.NewTeller(s.telemetry()).Before(refusal)).Get("/orders/{id}", ok)
	serve(r, http.MethodGet, "/orders/7")

	spans := s.spans.Ended()
	require.Len(t, spans, 2)
	require.Equal(t, "magnetar.shed.refuse", spans[0].Name())
	require.Equal(t, spans[1].SpanContext().SpanID(), spans[0].Parent().SpanID())
	require.Equal(t, map[string]int64{"/orders/{id}": 1}, s.routes(t))
}

// Inbound trap 31: what is not sampled makes no spans, but is counted.
func TestDecisionsUnderAnUnsampledServerSpanAreCounted(t *testing.T) {
	s := newSDK(t, sdktrace.ParentBased(sdktrace.AlwaysSample()))
	h := s.server(middleware.NewTeller(s.telemetry()).Before(refusal)(http.HandlerFunc(ok)))
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	h.ServeHTTP(httptest.NewRecorder(), req)

	require.Empty(t, s.spans.Ended())
	require.Equal(t, map[string]int64{"unrouted": 1}, s.routes(t))
}

func TestDecisionsWithoutAServerSpanBelongToTheCaller(t *testing.T) {
	for flags, spans := range map[string]int{"00": 0, "01": 1} {
		s := newSDK(t, sdktrace.ParentBased(sdktrace.AlwaysSample()))
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"+flags)
		middleware.NewTeller(s.telemetry()).Before(refusal)(http.HandlerFunc(ok)).ServeHTTP(httptest.NewRecorder(), req)
		require.Len(t, s.spans.Ended(), spans, flags)
		for _, span := range s.spans.Ended() {
			require.Equal(t, "b7ad6b7169203331", span.Parent().SpanID().String())
		}
	}
}

func TestDecisionsWithoutAnyParentBeginATraceIfTheSamplerAgrees(t *testing.T) {
	for _, c := range []struct {
		sampler sdktrace.Sampler
		spans   int
	}{{sdktrace.AlwaysSample(), 1}, {sdktrace.NeverSample(), 0}} {
		s := newSDK(t, c.sampler)
		teller := middleware.NewTeller(s.telemetry())
		admit := policy.Decision{Policy: policy.PolicyShed, Action: policy.ActionAdmit}
		serve(teller.Before(admit)(teller.Before(refusal)(http.HandlerFunc(ok))), http.MethodGet, "/")
		require.Len(t, s.spans.Ended(), c.spans)
		require.Equal(t, map[string]int64{"unrouted": 2}, s.routes(t))
	}
}

func TestNothingIsBuiltWhereNobodyLooks(t *testing.T) {
	asleep := observer{enabled: false}
	for name, opts := range map[string][]middleware.Option{
		"no telemetry":         {middleware.WithTelemetry(nil)},
		"nil observer":         {middleware.WithTelemetry(nil), middleware.WithObserver(nil)},
		"no SDK":               nil,
		"observer asleep":      {middleware.WithObserver(asleep)},
		"two that do not look": {middleware.WithObserver(asleep), middleware.WithObserver(asleep)},
	} {
		teller := middleware.NewTeller(opts...)
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Pattern = "/orders/{id}"
		require.Equal(t, req.Context(), teller.Inbound(req), name)
		teller.Tell(req.Context(), refusal) // would panic
	}
}

// observer is one that must not be told what it does not want.
type observer struct{ enabled bool }

func (o observer) Enabled(context.Context) bool { return o.enabled }

func (o observer) Observe(context.Context, policy.Decision) {
	if !o.enabled {
		panic("told all the same")
	}
}

func TestContextOfDecisionsIsTheRequestsOtherwise(t *testing.T) {
	teller := middleware.NewTeller(middleware.WithObserver(observer{enabled: true}))
	type key struct{}
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, 7), time.Hour)
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	req.Pattern = "/orders/{id}"
	inbound := teller.Inbound(req)
	require.Equal(t, 7, inbound.Value(key{}))
	cancel()
	require.ErrorIs(t, inbound.Err(), context.Canceled)
}

// requests are those of a router with routers below, of one alone, and of
// http.ServeMux, as their middleware sees them.
func requests(t testing.TB, above func(http.Handler) http.Handler) map[string]*http.Request {
	seen := make(map[string]*http.Request)
	see := func(name string) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			// Chi uses its notes again: keep a copy.
			if rctx := chi.RouteContext(r.Context()); rctx != nil {
				r = r.WithContext(context.WithValue(r.Context(), chi.RouteCtxKey, rctx.Clone()))
			}
			seen[name] = r
		}
	}
	nested, flat, mux := chi.NewRouter(), chi.NewRouter(), http.NewServeMux()
	nested.Route("/api", func(r chi.Router) {
		r.Route("/v1", func(r chi.Router) { r.Get("/orders/{id}", see("nested")) })
	})
	flat.Get("/orders/{id}", see("flat"))
	mux.HandleFunc("GET /orders/{id}", see("mux"))
	serve(above(nested), http.MethodGet, "/api/v1/orders/7")
	serve(above(flat), http.MethodGet, "/orders/7")
	serve(above(mux), http.MethodGet, "/orders/7")
	require.Len(t, seen, 3)
	return seen
}

// Inbound trap 31: to tell of a refusal that nobody samples costs nothing, or
// the route's one allocation below http.ServeMux.
func TestTellingAllocatesNothingWhileUnsampled(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := newSDK(t, sdktrace.NeverSample())
	teller := middleware.NewTeller(s.telemetry())
	for name, r := range requests(t, s.server) {
		ceiling := map[string]float64{"mux": 1}[name]
		require.LessOrEqual(t, testing.AllocsPerRun(200, func() { teller.Tell(teller.Inbound(r), refusal) }), ceiling, name)
	}
	asleep := middleware.NewTeller()
	for name, r := range requests(t, func(h http.Handler) http.Handler { return h }) {
		require.Zero(t, testing.AllocsPerRun(200, func() { asleep.Tell(asleep.Inbound(r), refusal) }), name)
	}
}

// Inbound trap 31: the whole way to a refusal while unsampled, but for the
// answer: at most the error, and the route below http.ServeMux.
func TestShedRefusesWithLittleAllocationWhileUnsampled(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := newSDK(t, sdktrace.NeverSample())
	for name, r := range requests(t, s.server) {
		shedder, err := middleware.NewShedder(policy.ConcurrencyConfig{Limit: 1}, s.telemetry(),
			middleware.WithRefusal(func(http.ResponseWriter, *http.Request, *policy.Error) {}))
		require.NoError(t, err)
		var got float64
		full := shedder.Handler(http.HandlerFunc(ok))
		holding := shedder.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			w := httptest.NewRecorder()
			got = testing.AllocsPerRun(200, func() {
				clear(w.Header())
				full.ServeHTTP(w, r)
			})
		}))
		serve(holding, http.MethodGet, "/")
		require.NotZero(t, s.decisions(t))
		t.Logf("%s: %v", name, got)
		require.LessOrEqual(t, got, 2.0, name)
	}
}

func BenchmarkTell(b *testing.B) {
	s := newSDK(b, sdktrace.NeverSample())
	for name, t := range map[string]*middleware.Teller{"no SDK": middleware.NewTeller(), "unsampled": middleware.NewTeller(s.telemetry())} {
		above := s.server
		if name == "no SDK" {
			above = func(h http.Handler) http.Handler { return h }
		}
		for router, r := range requests(b, above) {
			b.Run(name+"/"+router, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					t.Tell(t.Inbound(r), refusal)
				}
			})
		}
	}
}
