// Jaeger plays six small stories through three services that call each other
// with the kit, sends the spans to a Jaeger, and prints where to look at them.
//
//	docker compose -f examples/jaeger/compose.yaml up -d
//	go -C examples run ./jaeger
//
// The spans go where -otlp says, else where the OTEL_* variables say, else to
// http://localhost:4318.
package main

//go:generate go test -count=1 -run ^TestPictureIsOfWhatTheKitDoes$ . -redraw

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "jaeger:", err)
		os.Exit(1)
	}
}

const introduction = `Three services on loopback, each behind the kit's middleware, call each other through the kit's transport and pool:
  customer → shop → orders → stock
Each line is a trace that shows them all.

`

const farewell = `
Or search there: service orders, tags magnetar.reason=circuit_open or magnetar.action=eject or http.request.resend_count=1.
`

// run plays the stories, and tells w about each when its spans have arrived.
func run(ctx context.Context, w io.Writer, args []string) error {
	flags := flag.NewFlagSet("jaeger", flag.ContinueOnError)
	flags.SetOutput(w)
	otlp := flags.String("otlp", "", "`URL` of the collector, as http://host:4318; empty: as the OTEL_* variables say, else "+localhost)
	ui := flags.String("ui", cmp.Or(os.Getenv("JAEGER_UI"), "http://localhost:16686"), "`URL` of Jaeger's user interface, also from JAEGER_UI")
	if err := flags.Parse(args); err != nil {
		return err
	}
	t, err := newTelemetry(ctx, *otlp)
	if err != nil {
		return err
	}
	defer t.close()
	if _, err := io.WriteString(w, introduction); err != nil {
		return err
	}
	for _, s := range theStories {
		told, err := watched(ctx, w, t, s)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, told.lines(strings.TrimRight(*ui, "/"))); err != nil {
			return err
		}
	}
	_, err = io.WriteString(w, farewell)
	return err
}

// watched plays a story, and shows which one while that takes long.
func watched(ctx context.Context, w io.Writer, t *telemetry, s story) (told, error) {
	playing := func() string { return "playing: " + s.name + " …" }
	stop := demo.Live(w, playing, playing)
	defer stop()
	return tell(ctx, t, s)
}

// told is a story that was played.
type told struct {
	story string
	facts string
	trace trace.TraceID
	town  *town   // where it happened; it is closed
	aside []aside // what pools did in the background because of it
}

// lines are links, and what they show.
func (t told) lines(ui string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s: %s\n", link(ui, t.trace), t.story, t.facts)
	for _, a := range t.aside {
		fmt.Fprintf(&b, "%s    a trace of its own: %s %s\n", link(ui, a.trace), a.name, a.reason)
	}
	return b.String()
}

func link(ui string, id trace.TraceID) string { return ui + "/trace/" + id.String() }
