package otel

import (
	"context"

	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

// silence is the global providers under which an observer has nothing to do.
type silence struct{ tracers, meters, propagators any }

func (s *silence) holds() bool {
	return s != nil && s.tracers == any(api.GetTracerProvider()) && s.meters == any(api.GetMeterProvider()) &&
		s.propagators == any(api.GetTextMapPropagator())
}

// Asleep reports, at the least cost, that nothing in ctx would be seen, measured
// or sent on: no SDK is installed, no propagator, and ctx is part of no trace.
// False promises nothing.
func (o *Observer) Asleep(ctx context.Context) bool {
	if o == nil {
		return true
	}
	if o.breakers.any() || trace.SpanContextFromContext(ctx).IsValid() {
		return false
	}
	return o.silent.Load().holds() || o.fallAsleep()
}

// fallAsleep looks whether there is nothing to do, and remembers it for as long
// as the global providers stay.
func (o *Observer) fallAsleep() bool {
	if o.tracers.given != nil || o.meters.given != nil || o.propagators.given != nil {
		return false
	}
	_, traces := o.tracers.now()
	_, measures := o.meters.now()
	if traces || measures || o.Injects() {
		return false
	}
	s := silence{api.GetTracerProvider(), api.GetMeterProvider(), api.GetTextMapPropagator()}
	for _, p := range []any{s.tracers, s.meters, s.propagators} {
		if id := identify(p); id.void() || id.value == nil {
			return false // it could not be compared later
		}
	}
	o.silent.Store(&s)
	return true
}
