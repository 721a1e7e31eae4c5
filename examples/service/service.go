package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	shed "github.com/magnetar-go/magnetar/middleware"
)

// consolePath is where the console is, at the admin's address.
const consolePath = "/debug/magnetar"

// service is the whole of it, from the requests that come in to what they are
// answered from.
type service struct {
	telemetry *telemetry
	chain     []func(http.Handler) http.Handler // outermost first
	shedder   *shed.Shedder
	shared    *shared
	prices    *upstream
	stock     *upstream
	database  *database
}

// newService makes all that cfg says. Whoever gets one must close it.
func newService(cfg Config, t *telemetry) (_ *service, err error) {
	s := &service{telemetry: t}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(context.Background()))
		}
	}()
	if s.shared, err = openShared(cfg.Shared, t); err != nil {
		return nil, err
	}
	if err := s.openInbound(cfg.Inbound); err != nil {
		return nil, err
	}
	if s.prices, err = openUpstream("prices", cfg.Upstreams.Prices, s.shared, t); err != nil {
		return nil, err
	}
	if s.stock, err = openUpstream("stock", cfg.Upstreams.Stock, s.shared, t); err != nil {
		return nil, err
	}
	s.database, err = openDatabase(cfg.Database, t)
	return s, err
}

// openInbound makes the chain that requests pass: a span for each, the time it
// has, the quota of its peer, and the limit of all together.
func (s *service) openInbound(cfg Inbound) error {
	opts := []shed.Option{shed.WithTelemetry(s.telemetry.observer), shed.WithObserver(s.telemetry.others)}
	s.chain = append(s.chain, otelhttp.NewMiddleware("service", otelhttp.WithTracerProvider(s.telemetry.spans),
		otelhttp.WithMeterProvider(s.telemetry.metrics), otelhttp.WithPropagators(propagators)))
	if cfg.Deadline != nil {
		s.chain = append(s.chain, shed.Deadline(*cfg.Deadline, opts...))
	}
	if cfg.RateLimit != nil {
		s.chain = append(s.chain, shed.RateLimit(*cfg.RateLimit, shed.ByPeerIP, append(opts, s.shared.inbound()...)...))
	}
	shedder, err := shed.NewShedder(cfg.Shed, opts...)
	if err != nil {
		return err
	}
	s.shedder = shedder
	s.chain = append(s.chain, shedder.Handler)
	return nil
}

// router has the routes within the chain, and health within the shedder alone, which
// knows it by its paths and has a lane for it.
func (s *service) router() http.Handler {
	r := chi.NewRouter()
	r.Group(func(r chi.Router) {
		r.Use(s.chain...)
		r.Get("/products/{id:[0-9]+}", s.product)
		r.Post("/products/{id:[0-9]+}/orders", s.buy)
		r.Get("/orders/{id:[0-9A-Za-z_-]+}", s.bought)
		r.NotFound(http.NotFound) // a flood of these has its price, too
	})
	r.Group(func(r chi.Router) {
		r.Use(s.shedder.Handler)
		r.Get("/healthz", healthy)
		r.Get("/readyz", s.ready)
	})
	return r
}

// healthy: the process answers. What is behind it is not asked, for restarting
// this one mends nothing there.
func healthy(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// ready: it wants to be sent requests.
func (s *service) ready(w http.ResponseWriter, _ *http.Request) {
	if s.shedder.Stats().Draining {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// admin is for operators only.
func (s *service) admin() http.Handler {
	r := chi.NewRouter()
	r.Handle(consolePath, s.telemetry.console)
	return r
}

// close ends what requests are answered from, once there are none: what was opened
// last is closed first.
func (s *service) close(ctx context.Context) error {
	var errs []error
	if s.database != nil {
		errs = append(errs, s.database.Close(ctx))
	}
	for _, u := range []*upstream{s.stock, s.prices} {
		if u != nil {
			errs = append(errs, u.close(ctx))
		}
	}
	return errors.Join(append(errs, s.shared.close())...)
}
