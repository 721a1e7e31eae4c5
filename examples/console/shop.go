package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
	"github.com/magnetar-go/magnetar/transport"
)

const consolePath = "/debug/magnetar"

// shop is a service, what it calls, and the console that watches both.
type shop struct {
	console  *otel.Console
	tracing  *sdktrace.TracerProvider
	backends *backends
	payments *http.Client
	search   *http.Client
	searched *pool.Transport
	sessions *pool.Pool[session]
	shedder  *shed.Shedder
}

// session stands for a connection that is dear to make.
type session struct{}

// newShop hands the console to all that decides, beside the telemetry.
func newShop(ctx context.Context, tracing *sdktrace.TracerProvider, console *otel.Console) (_ *shop, err error) {
	s := &shop{console: console, tracing: tracing}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.backends, err = startBackends(ctx); err != nil {
		return nil, err
	}
	telemetry := otel.New(otel.WithTracerProvider(tracing))

	cfg := transport.Default()
	cfg.RateLimit = &policy.RateLimiterConfig{Limit: 40, MaxWait: 300 * time.Millisecond}
	s.payments = &http.Client{Transport: transport.New(http.DefaultTransport.(*http.Transport).Clone(), cfg,
		transport.WithTelemetry(telemetry), transport.WithObserver(console))}

	balanced := pool.DefaultTransport()
	balanced.SlowStart = 3 * time.Second
	balanced.Outlier = &pool.OutlierConfig{BaseEjection: 5 * time.Second}
	s.searched, err = pool.NewTransport(balanced, pool.WithResolver(s.backends), pool.WithBalancer(pool.RoundRobin()),
		pool.WithTelemetry(telemetry), pool.WithObserver(console))
	if err != nil {
		return nil, err
	}
	s.search = &http.Client{Transport: transport.New(s.searched, transport.Default(),
		transport.WithTelemetry(telemetry), transport.WithObserver(console))}

	dial := func(context.Context) (session, error) { return session{}, nil }
	s.sessions, err = pool.New(pool.Funcs(dial, nil, nil), pool.Config{MaxSize: 4, AcquireTimeout: 200 * time.Millisecond},
		pool.WithKey("warehouse"), pool.WithTelemetry(telemetry), pool.WithObserver(console))
	if err != nil {
		return nil, err
	}

	s.shedder, err = shed.NewShedder(policy.ConcurrencyConfig{Limit: 24, MaxQueue: 12},
		shed.WithTelemetry(telemetry), shed.WithObserver(console))
	return s, err
}

// router mounts the console beside the service, where no limit of the service's
// is in its way. In production it is mounted where only operators come.
func (s *shop) router() http.Handler {
	r := chi.NewRouter()
	r.Handle(consolePath, s.console)
	r.Group(func(r chi.Router) {
		r.Use(otelhttp.NewMiddleware("shop", otelhttp.WithTracerProvider(s.tracing)), s.shedder.Handler)
		r.Get("/orders/{id}", s.order)
		r.Get("/search", s.find)
	})
	return r
}

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	err := s.sessions.Do(r.Context(), func(ctx context.Context, _ session) error {
		if !demo.Sleep(ctx, 10*time.Millisecond) {
			return ctx.Err()
		}
		return nil
	})
	if err == nil {
		err = fetch(r.Context(), s.payments, s.backends.payments.URL+"/charges/"+chi.URLParam(r, "id"))
	}
	answer(w, err)
}

func (s *shop) find(w http.ResponseWriter, r *http.Request) {
	answer(w, fetch(r.Context(), s.search, s.backends.searchURL))
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, "try again later", http.StatusBadGateway)
		return
	}
	_, _ = io.WriteString(w, "here you are\n") // the client may have gone
}

func fetch(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil) //nolint:gosec // of the shop's own backends
	if err != nil {
		return err
	}
	resp, err := client.Do(req) //nolint:gosec // the same
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// during serves on l, and has customers and bad weather come, until ctx ends.
func (s *shop) during(ctx context.Context, l net.Listener, p plan) error {
	srv := &http.Server{Handler: s.router(), ReadHeaderTimeout: 5 * time.Second}
	srv.RegisterOnShutdown(s.console.Close) // else Shutdown would wait for who looks at it
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	weather := p.start(ctx, s.backends, "http://"+l.Addr().String())
	defer weather()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err := srv.Shutdown(last)
	if err != nil {
		_ = srv.Close()
	}
	if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

func (s *shop) close() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if s.payments != nil {
		s.payments.CloseIdleConnections()
	}
	if s.searched != nil {
		_ = s.searched.Close() // nothing is in flight any more
	}
	if s.sessions != nil {
		_ = s.sessions.Close(ctx) // here too
	}
	if s.backends != nil {
		s.backends.close()
	}
}
