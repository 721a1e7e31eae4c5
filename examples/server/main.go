// Server is a small service with the whole chain in front of it, to be copied
// from: tracing, deadlines, priorities, quotas, and a limit that finds itself.
//
//	go -C examples run ./server
//
// With OTEL_TRACES_EXPORTER=console or otlp it exports its spans, see
// examples/jaeger.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// production is what the service is run with.
func production() config {
	return config{
		deadline: shed.DeadlineConfig{Max: 5 * time.Second},
		quota:    policy.RateLimiterConfig{Limit: 100},
		trusted:  []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		api:      api{takes: 20 * time.Millisecond, report: 2 * time.Second, every: time.Second},
	}
}

const mounted = `Listening on http://%[1]s. From the outside in:
  otelhttp    a span for each request
  Deadline    at most %[2]v; less where a trusted peer says so
  Priority    X-Priority of trusted peers, else by path
  RateLimit   %[3]d a second for each peer
  Shed        finds its limit by itself
  routes      /items/{id} /reports/{id} /events, and /healthz /readyz in a lane of their own

Try
  curl -i -H 'X-Priority: critical' http://%[1]s/items/42
  curl -i -H 'X-Envoy-Expected-Rq-Timeout-Ms: 300' http://%[1]s/reports/1
`

// stopTime is all that requests in flight get at the end.
const stopTime = 10 * time.Second

// run serves until ctx ends, or as long as the flags say.
func run(ctx context.Context, w io.Writer, args []string) error {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(w)
	addr := flags.String("addr", "127.0.0.1:8080", "`address` to listen on")
	lasts := flags.Duration("for", 0, "how long to serve; 0: until interrupted")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *lasts > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *lasts)
		defer cancel()
	}
	spans, err := newTracing(ctx)
	if err != nil {
		return err
	}
	defer spans.Shutdown(context.WithoutCancel(ctx)) //nolint:errcheck // nobody is left to tell
	cfg := production()
	cfg.tracing = spans
	s, err := newService(cfg)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, mounted, l.Addr(), cfg.deadline.Max, cfg.quota.Limit); err != nil {
		return errors.Join(err, l.Close())
	}
	if err := s.serve(ctx, l); err != nil {
		return err
	}
	st := s.shedder.Stats().Main
	_, err = fmt.Fprintf(w, "\nStopped: %d requests admitted, %d refused; the last limit was %d.\n", st.Admitted, st.Refused, st.Limit)
	return err
}

// serve serves on l until ctx ends, and then stops in order.
func (s *service) serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: s.onChi(), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	err := s.stop(srv, stopTime)
	if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// newTracing exports nothing unless it is told to.
func newTracing(ctx context.Context) (*sdktrace.TracerProvider, error) {
	if os.Getenv("OTEL_TRACES_EXPORTER") == "" {
		return sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())), nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, err
	}
	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter)), nil
}
