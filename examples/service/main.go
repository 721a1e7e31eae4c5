// Service is a small complete service to be copied from: chi in, with deadlines,
// quotas and load shedding; two upstreams and a PostgreSQL out, with retries,
// breakers and pools; limits that its processes share in Redis; all of it configured
// by one YAML file and the environment.
//
//	apt-get install postgresql redis-server
//	go -C examples run ./service
//	go -C examples run ./service -check
//	SERVICE_LISTEN=127.0.0.1:9090 go -C examples run ./service -for 0
//
// The first is visited by itself for a few seconds and then stops in order; the
// second reports all that is wrong with the configuration; the third serves until
// it is interrupted. With OTEL_TRACES_EXPORTER and OTEL_METRICS_EXPORTER it exports
// spans and metrics. What the configuration names no URL of is started, and ends with
// the program; passwords are for the environment:
//
//	SERVICE_DATABASE_URL=postgres://shop:…@db:5432/shop SERVICE_SHARED_URL=redis://:…@redis:6379
//
// GET /products/42 is answered from all that is behind the service. POST
// /products/42/orders places an order: once for its Idempotency-Key, and without one
// never twice, but then perhaps with the answer that nobody knows whether it was
// placed; GET /orders/… tells.
//
// To copy from:
//
//   - config.go and service.yaml, the configuration
//   - service.go, how the parts are put together
//   - serve.go, how they are stopped
//   - upstream.go and database.go, what is called; product.go and order.go, who calls it
//   - answer.go, what clients are told when that fails
//   - shared.go, what is counted in Redis
//   - telemetry.go, who is told
//
// standins*.go and visitors.go only make it run alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

func main() {
	redis.SetLogger(silent{})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Stderr, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// errUsage is of flags that are none; what is wrong with them has been told.
var errUsage = errors.New("usage")

// run does what args say. It tells w how the service does, and log its decisions.
func run(ctx context.Context, w, log io.Writer, args []string) error {
	flags := flag.NewFlagSet("service", flag.ContinueOnError)
	flags.SetOutput(log)
	path := flags.String("config", "service/service.yaml", "`file` to configure it")
	check := flags.Bool("check", false, "only report what is wrong with the configuration")
	lasts := flags.Duration("for", 5*time.Second, "how long to be visited; 0: serve until interrupted, visited by nobody")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return errUsage
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q: no arguments are taken but flags", flags.Arg(0))
	}
	cfg, err := loadConfig(*path)
	if err != nil {
		return err
	}
	if *check {
		_, err := fmt.Fprintln(w, *path, "and the environment are well")
		return err
	}
	return standIn(ctx, w, cfg, func(cfg Config) error { return start(ctx, w, log, cfg, *lasts) })
}

// start serves what cfg says until ctx ends, or as long as it lasts.
func start(ctx context.Context, w, log io.Writer, cfg Config, lasts time.Duration) error {
	l, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	t, err := newTelemetry(ctx, log)
	if err != nil {
		return errors.Join(err, l.close())
	}
	s, err := newService(cfg, t)
	if err != nil {
		return errors.Join(err, l.close(), t.close(ctx))
	}
	url := "http://" + l.public.Addr().String()
	if _, err := fmt.Fprintf(w, "A product is at %s/products/42, the console at http://%s%s\n", url, l.admin.Addr(), consolePath); err != nil {
		return errors.Join(err, l.close(), s.close(ctx), t.close(ctx))
	}
	if lasts == 0 {
		_, told := fmt.Fprintln(w, "It serves until it is interrupted.")
		return errors.Join(told, s.serve(ctx, l, cfg.StopWithin))
	}
	return s.visited(ctx, w, l, cfg.StopWithin, lasts)
}

// visited serves for as long as its visitors stay, and tells what they got.
func (s *service) visited(ctx context.Context, w io.Writer, l listeners, stopWithin, lasts time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	v := newVisitors("http://" + l.public.Addr().String())
	var visit sync.WaitGroup
	visit.Go(func() {
		defer cancel()
		staying, leave := context.WithTimeout(ctx, lasts)
		defer leave()
		v.visit(staying)
	})
	// In lines of their own even on a terminal, for the log's are among them.
	hush := demo.Live(struct{ io.Writer }{w}, nil, v.String)
	err := s.serve(ctx, l, stopWithin)
	cancel()
	visit.Wait()
	hush()
	_, printed := fmt.Fprintf(w, "Stopped in order. %v\n", v)
	return errors.Join(err, printed)
}
