// Metrics plays a shop that runs into one trouble after the other, and serves
// what the kit measures meanwhile, for Prometheus to scrape. The alerts and the
// dashboard beside it show each trouble.
//
//	go -C examples run ./metrics
//
// With OTEL_TRACES_EXPORTER=otlp and, for the Jaeger of examples/jaeger,
// OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 it exports the traces to which
// the exemplars lead.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "metrics:", err)
		os.Exit(1)
	}
}

const introduction = `The metrics of a shop, with one trace in %d sampled, are at http://%s/metrics. To see them:
  prometheus --config.file=examples/metrics/prometheus.yml --storage.tsdb.path="$(mktemp -d)" \
    --enable-feature=exemplar-storage --web.listen-address=127.0.0.1:9091
  http://127.0.0.1:9091/alerts     what each trouble raises, once it has lasted
  examples/metrics/dashboard.json  to be imported in Grafana

`

// run plays until ctx ends, or as long as the flags say.
func run(ctx context.Context, w io.Writer, args []string) error {
	flags := flag.NewFlagSet("metrics", flag.ContinueOnError)
	flags.SetOutput(w)
	addr := flags.String("addr", "127.0.0.1:9464", "`address` to serve the metrics on")
	lasts := flags.Duration("for", 12*time.Minute, "how long to play; 0: until interrupted")
	each := flags.Duration("each", 90*time.Second, "how long each trouble lasts; alerts fire after one to five minutes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *each <= 0 {
		return fmt.Errorf("-each %v: must be > 0", *each)
	}
	t, err := newTelemetry(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	metrics, err := serveMetrics(ctx, *addr, t)
	if err != nil {
		return err
	}
	defer metrics.close()
	s, err := newStage(ctx, *each)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := fmt.Fprintf(w, introduction, oneIn, metrics.address); err != nil {
		return err
	}
	if *lasts > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *lasts)
		defer cancel()
	}
	return s.play(ctx, w, *each)
}
