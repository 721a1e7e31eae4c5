// Console is a small shop with the kit's console mounted beside it, to be copied
// from, and with enough going wrong to be worth a look: a payment service that
// fails now and then, a search of three servers of which one turns sick, a pool
// of sessions that is too small, and a crowd that comes in bursts.
//
//	go -C examples run ./console
//
// With OTEL_TRACES_EXPORTER=otlp and, for the Jaeger of examples/jaeger,
// OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 it exports its spans; then
// -jaeger http://127.0.0.1:16686 makes the console's trace ids links to them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/magnetar-go/magnetar/otel"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "console:", err)
		os.Exit(1)
	}
}

const introduction = `The console is at http://%[1]s%[2]s; one frame of it is
  curl -H 'Accept: application/json' http://%[1]s%[2]s
In every %[3]v the payments fail, a search server turns sick, and a crowd comes.
`

// run serves until ctx ends, or as long as the flags say.
func run(ctx context.Context, w io.Writer, args []string) error {
	flags := flag.NewFlagSet("console", flag.ContinueOnError)
	flags.SetOutput(w)
	addr := flags.String("addr", "127.0.0.1:8080", "`address` to listen on")
	jaeger := flags.String("jaeger", "", "`URL` of a Jaeger that the spans go to; empty: no links to traces")
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
	var opts []otel.ConsoleOption
	if *jaeger != "" {
		opts = append(opts, otel.WithTraceURL(strings.TrimSuffix(*jaeger, "/")+"/trace/{trace_id}"))
	}
	s, err := newShop(ctx, spans, otel.NewConsole(opts...))
	if err != nil {
		return err
	}
	defer s.close()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, introduction, l.Addr(), consolePath, day.lasts); err != nil {
		return errors.Join(err, l.Close())
	}
	return s.during(ctx, l, day)
}

// newTracing samples everything, and exports nothing unless it is told to.
func newTracing(ctx context.Context) (*sdktrace.TracerProvider, error) {
	if os.Getenv("OTEL_TRACES_EXPORTER") == "" {
		return sdktrace.NewTracerProvider(), nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, err
	}
	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter)), nil
}

// stopTime is all that requests in flight get at the end.
const stopTime = 2 * time.Second
