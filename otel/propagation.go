package otel

import (
	"context"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Injects reports whether [Observer.Inject] would write headers at all, so that
// headers need not be copied where it would not.
func (o *Observer) Injects() bool {
	if o == nil || o.withoutAttempts {
		return false
	}
	p, ok := o.propagators.now()
	return ok && p.writes
}

// Inject writes the context of a try, as [Observer.StartAttempt] returned it,
// into its headers; the package comment says over what.
func (o *Observer) Inject(ctx context.Context, h http.Header) {
	if o == nil || o.withoutAttempts {
		return
	}
	p, ok := o.propagators.now()
	if !ok {
		return
	}
	if p.traces && h[traceState] != nil && trace.SpanContextFromContext(ctx).IsValid() {
		delete(h, traceState) // it belongs to the parent that is written over
	}
	p.Inject(ctx, propagation.HeaderCarrier(h))
}

// The headers of W3C Trace Context.
const (
	traceParent = "Traceparent"
	traceState  = "Tracestate"
)

type propagator struct {
	propagation.TextMapPropagator
	fields []string // in canonical form; nil where they are not known
	writes bool
	traces bool // writes a traceparent
}

// newPropagator asks for the fields once, for that may allocate. Those of a
// stand-in are not known yet, so it is taken to write.
func newPropagator(p propagation.TextMapPropagator) (propagator, any) {
	if gradeOf(p) == standIn {
		return propagator{TextMapPropagator: p, writes: true}, p
	}
	fields := p.Fields()
	canonical := make([]string, len(fields))
	for i, f := range fields {
		canonical[i] = http.CanonicalHeaderKey(f)
	}
	return propagator{p, canonical, len(fields) > 0, slices.Contains(canonical, traceParent)}, p
}

// reads reports whether there is anything in h to extract. To ask is cheaper
// than to extract nothing.
func (p propagator) reads(h http.Header) bool {
	if p.fields == nil {
		return p.writes
	}
	for _, f := range p.fields {
		if _, ok := h[f]; ok {
			return true
		}
	}
	return false
}
