package main

import (
	"context"
	"sync"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// ledger is what all exporters have sent.
type ledger struct {
	mu     sync.Mutex
	spans  map[trace.TraceID]int
	err    error // the first
	asides []aside
}

// shown are the decisions in the background that a story is about.
var shown = map[string]bool{"magnetar.pool.eject": true, "magnetar.pool.rotate": true}

// aside is a decision that was taken in the background: the root of a trace of
// its own, with a link to what led to it.
type aside struct {
	name, reason string
	trace        trace.TraceID
	cause        trace.TraceID
}

// recorded is an exporter that notes what it sends.
type recorded struct {
	sdktrace.SpanExporter

	ledger *ledger
}

func (r recorded) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	if !autoexport.IsNoneSpanExporter(r.SpanExporter) {
		r.ledger.note(spans, err)
	}
	return nil // the ledger knows, and the SDK would only log it
}

func (l *ledger) note(spans []sdktrace.ReadOnlySpan, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if l.err == nil {
			l.err = err
		}
		return
	}
	for _, s := range spans {
		l.spans[s.SpanContext().TraceID()]++
		if shown[s.Name()] && len(s.Links()) > 0 {
			l.asides = append(l.asides, asideOf(s))
		}
	}
}

func asideOf(s sdktrace.ReadOnlySpan) aside {
	a := aside{name: s.Name(), trace: s.SpanContext().TraceID(), cause: s.Links()[0].SpanContext.TraceID()}
	for _, kv := range s.Attributes() {
		if kv.Key == "magnetar.reason" {
			a.reason = kv.Value.AsString()
		}
	}
	return a
}

func newLedger() *ledger { return &ledger{spans: make(map[trace.TraceID]int)} }

// arrived is how many spans of a trace the collector has taken, and why it has
// not taken all.
func (l *ledger) arrived(id trace.TraceID) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.spans[id], l.err
}

// causedBy returns the decisions in the background that a trace led to.
func (l *ledger) causedBy(id trace.TraceID) []aside {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []aside
	for _, a := range l.asides {
		if a.cause == id {
			found = append(found, a)
		}
	}
	return found
}
