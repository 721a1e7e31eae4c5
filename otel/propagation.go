package otel

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
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
// into its headers.
func (o *Observer) Inject(ctx context.Context, h http.Header) {
	if o == nil || o.withoutAttempts {
		return
	}
	if p, ok := o.propagators.now(); ok {
		p.Inject(ctx, propagation.HeaderCarrier(h))
	}
}

type propagator struct {
	propagation.TextMapPropagator
	writes bool
}

// newPropagator asks for the fields once, for that may allocate. Those of a
// stand-in are not known yet, so it is taken to write.
func newPropagator(p propagation.TextMapPropagator) (propagator, any) {
	writes := gradeOf(p) == standIn || len(p.Fields()) > 0
	return propagator{p, writes}, p
}
