package main

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"

	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// config is what differs from one deployment to the next.
type config struct {
	deadline shed.DeadlineConfig
	quota    policy.RateLimiterConfig // of each peer
	room     policy.ConcurrencyConfig
	trusted  []netip.Prefix // whose priority and deadline headers count: the proxies'
	tracing  trace.TracerProvider
	api      api
}

// service is an API behind the whole chain.
type service struct {
	api     api
	chain   []func(http.Handler) http.Handler // outermost first
	shedder *shed.Shedder

	stopStreams context.CancelFunc
}

// newService makes the chain. It is mounted within the router, so that spans and
// refusals know their route; the state is in the values, so the routes share it.
func newService(cfg config) (*service, error) {
	telemetry := shed.WithTelemetry(otel.New(otel.WithTracerProvider(cfg.tracing)))
	trust := shed.WithTrustedPeers(cfg.trusted...)
	if err := cfg.deadline.Validate(); err != nil {
		return nil, err
	}
	quota, err := shed.NewQuota(cfg.quota, shed.ByPeerIP, telemetry)
	if err != nil {
		return nil, err
	}
	shedder, err := shed.NewShedder(cfg.room, telemetry)
	if err != nil {
		return nil, err
	}
	stopping, stopStreams := context.WithCancel(context.Background())
	cfg.api.stopping = stopping
	s := &service{
		api: cfg.api,
		chain: []func(http.Handler) http.Handler{
			otelhttp.NewMiddleware("server", otelhttp.WithTracerProvider(cfg.tracing)),
			shed.Deadline(cfg.deadline, trust, telemetry),
			shed.Priority(shed.WithPriorityHeader("X-Priority"), shed.WithPriority(priorityOf), trust),
			quota.Handler,
			shedder.Handler,
		},
		shedder:     shedder,
		stopStreams: stopStreams,
	}
	s.api.draining = func() bool { return shedder.Stats().Draining }
	return s, nil
}

// priorityOf sorts the requests that no trusted peer has sorted.
func priorityOf(r *http.Request) policy.Priority {
	if strings.HasPrefix(r.URL.Path, "/reports/") {
		return policy.Low
	}
	return policy.Normal
}

// onChi mounts the routes on chi.
func (s *service) onChi() http.Handler {
	r := chi.NewRouter()
	r.Group(func(r chi.Router) {
		r.Use(s.chain...)
		for _, rt := range s.api.routes() {
			r.Method(http.MethodGet, rt.pattern, rt.handler)
		}
		r.NotFound(http.NotFound) // a flood of these has its price, too
	})
	r.Group(func(r chi.Router) {
		r.Use(s.shedder.Handler) // a lane of their own, and no quota
		for _, rt := range s.api.health() {
			r.Method(http.MethodGet, rt.pattern, rt.handler)
		}
	})
	return r
}

// onServeMux mounts the same on a router that knows of no middleware.
func (s *service) onServeMux() http.Handler {
	mux := http.NewServeMux()
	guarded := chi.Chain(s.chain...)
	for _, rt := range s.api.routes() {
		mux.Handle("GET "+rt.pattern, guarded.Handler(rt.handler))
	}
	mux.Handle("/", guarded.HandlerFunc(http.NotFound))
	for _, rt := range s.api.health() {
		mux.Handle("GET "+rt.pattern, s.shedder.Handler(rt.handler))
	}
	return mux
}

// stop ends the service in order: streams are told to end, newcomers are refused
// and what is in flight may finish; then srv closes its connections.
func (s *service) stop(srv *http.Server, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	s.stopStreams()
	drained := s.shedder.Drain(ctx)
	if err := srv.Shutdown(ctx); err != nil {
		_ = srv.Close()
		return err
	}
	return drained
}
