// Quickstart calls a server through its good and its bad times, once with
// magnetar around [http.Client.Transport] and once without, and shows what
// came of both: a table, and the spans of a call that was retried and of one
// that was refused.
//
//	go -C examples run ./quickstart
//
// With OTEL_EXPORTER_OTLP_ENDPOINT set it exports the spans too, see
// examples/jaeger.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/transport"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Stderr, theDay)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// theDay is what the server goes through.
var theDay = plan{
	rate:    200,
	workers: 128,
	phases: []phase{
		{"healthy", 2 * time.Second, mood{status: http.StatusOK, hiccup: 150}},
		{"failing", 3 * time.Second, mood{status: http.StatusServiceUnavailable}},
		{"slow", 2500 * time.Millisecond, mood{status: http.StatusOK, delay: 150 * time.Millisecond}},
		{"recovered", 2 * time.Second, mood{status: http.StatusOK, hiccup: 150}},
	},
}

const introduction = `A server on %s is healthy (but for a 503 in every 150 answers), then fails (503 at once),
then answers slowly (+%v), then recovers. Two clients call it %d times a second each:
  magnetar  &http.Client{Transport: transport.New(base, transport.Default())}
  bare      &http.Client{Transport: base}

`

// run goes through the plan and tells w about it. What goes wrong with the
// export of spans is told to warnings, and changes nothing else.
func run(ctx context.Context, w, warnings io.Writer, p plan) error {
	s, err := serve(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	spans := newRecorder()
	t := newTelemetry(ctx, spans, warnings)
	defer t.close()

	kit := transport.New(base(p.workers), transport.Default(), transport.WithTelemetry(otel.New(otel.WithTracerProvider(t.provider))))
	clients := []*client{
		{name: "magnetar", http: &http.Client{Transport: kit}, url: s.url + "/magnetar", tries: &s.magnetar, breaker: stateOf(kit)},
		{name: "bare", http: &http.Client{Transport: base(p.workers)}, url: s.url + "/bare", tries: &s.bare, breaker: none},
	}
	for _, c := range clients {
		defer c.http.CloseIdleConnections()
	}

	if _, err := fmt.Fprintf(w, introduction, s.url, p.slowest(), p.rate); err != nil {
		return err
	}
	rows, err := p.run(ctx, s, clients, w)
	if err != nil {
		return err
	}
	t.close()
	retried, refused := spans.kept()
	_, err = fmt.Fprint(w, table(rows), promises(rows),
		draw("The spans of a call that was retried:", retried),
		draw("The spans of a call that was refused:", refused),
		t.hint())
	return err
}

// base is net/http's transport, with as many idle connections as calls can be
// under way, for both clients alike.
func base(workers int) http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = workers
	return t
}

// stateOf tells the state of the one circuit breaker of a transport with one
// peer.
func stateOf(t *transport.Transport) func() string {
	return func() string {
		for k := range t.States() {
			return k.Breaker.State.String()
		}
		return none()
	}
}

func none() string { return "-" }
