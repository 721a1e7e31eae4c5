package otel

import (
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Option configures an [Observer]. The set is closed.
type Option interface{ apply(*options) }

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

// WithTracerProvider makes all spans with p. Default: the provider of the span
// in the context where that one records, else the global one at the time.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(o *options) { o.tracerProvider = p })
}

// WithMeterProvider makes all metrics with p. Default: the global provider at
// the time. A provider of one's own is best a pointer: what cannot be compared
// cannot be remembered.
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(o *options) { o.meterProvider = p })
}

// WithPropagators writes the context into the headers of each try with p; see
// the package comment. Default: the global propagator at the time.
func WithPropagators(p propagation.TextMapPropagator) Option {
	return optionFunc(func(o *options) { o.propagator = p })
}

// Detail is how many of the decisions become spans. Metrics count them all.
type Detail uint8

const (
	// All decisions become spans. It is the zero value.
	All Detail = iota
	// Consequential leaves out admissions that neither waited nor refused.
	// Those with a reason stay: they are the trials of a breaker.
	Consequential
)

// WithDetail chooses which decisions become spans. Default: All.
func WithDetail(d Detail) Option {
	return optionFunc(func(o *options) { o.detail = d })
}

// WithoutAttemptSpans leaves the spans of tries, http.client.request.duration
// and the propagation headers to an instrumented base, such as otelhttp's
// transport. Its spans lack http.request.resend_count, which it cannot be told;
// the number of the try is on the decision spans beside them.
func WithoutAttemptSpans() Option {
	return optionFunc(func(o *options) { o.withoutAttempts = true })
}

type options struct {
	tracerProvider  trace.TracerProvider
	meterProvider   metric.MeterProvider
	propagator      propagation.TextMapPropagator
	detail          Detail
	withoutAttempts bool
}
