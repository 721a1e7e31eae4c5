package otel

import (
	"context"
	"sync/atomic"

	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// Observer tells the decisions of policies to OpenTelemetry, and begins and
// ends the spans of calls and tries for the kit's transport. It is safe for
// concurrent use; a nil *Observer does nothing.
type Observer struct {
	detail          Detail
	withoutAttempts bool

	tracers     *source[trace.TracerProvider, trace.Tracer]
	meters      *source[metric.MeterProvider, *instruments]
	propagators *source[propagation.TextMapPropagator, propagator]

	methods   methods
	targets   targets
	decisions decisions
	breakers  openBreakers
	silent    atomic.Pointer[silence]
}

var (
	_ policy.Observer = (*Observer)(nil)
	_ policy.Enabler  = (*Observer)(nil)
)

// New makes an observer. Without options it uses the global providers.
func New(opts ...Option) *Observer {
	var cfg options
	for _, opt := range opts {
		opt.apply(&cfg)
	}
	return &Observer{
		detail:          cfg.detail,
		withoutAttempts: cfg.withoutAttempts,
		tracers:         newSource(cfg.tracerProvider, api.GetTracerProvider, newTracer),
		meters:          newSource(cfg.meterProvider, api.GetMeterProvider, newMeter),
		propagators:     newSource(cfg.propagator, api.GetTextMapPropagator, newPropagator),
		methods:         knownMethods(),
	}
}

// Enabled reports whether a decision taken in ctx would be seen: whether a span
// in ctx records or may begin there, or a meter measures. It is true while a breaker that a span
// tripped is open, so that its close is not missed.
func (o *Observer) Enabled(ctx context.Context) bool {
	if o.Asleep(ctx) {
		return false
	}
	if m, ok := o.meters.now(); ok && m.decisionsEnabled(ctx) {
		return true
	}
	return o.breakers.any() || o.decisionTracer(ctx) != nil
}

// Observe counts d, and makes a span of it where the span in ctx records, or
// one may begin there: see [Observer.Inbound] and [Background].
func (o *Observer) Observe(ctx context.Context, d policy.Decision) {
	if o == nil {
		return
	}
	m, measured := o.meters.now()
	if !measured {
		m = nil
	}
	tracer := o.shows(ctx, d)
	tripped := o.follow(ctx, d, m)
	if m == nil && tracer == nil {
		return
	}
	s := o.decisions.of(d)
	if m != nil {
		m.decision(ctx, d, s)
	}
	if tracer != nil {
		recordDecision(ctx, tracer, d, s, tripped)
	}
}

// shows returns what makes a span of d; nil where d is not worth one, or none
// may begin. What is routine held up nobody, so it never matters either.
func (o *Observer) shows(ctx context.Context, d policy.Decision) trace.Tracer {
	if o.detail != All && routine(d) {
		return nil
	}
	if parent := trace.SpanFromContext(ctx); parent.IsRecording() {
		return o.tracer(parent)
	}
	if _, background := causeOf(ctx); !background && !matters(d) {
		return nil
	}
	return o.decisionTracer(ctx)
}

// routine reports whether d changed nothing for anybody.
func routine(d policy.Decision) bool {
	if d.Reason != "" || d.Err != nil {
		return false
	}
	switch d.Action {
	case policy.ActionAdmit, policy.ActionAcquire:
		return d.Took == 0
	case policy.ActionProbe:
		return true
	}
	return false
}

// tracer is where spans begun in ctx go; nil if nothing can record them.
func (o *Observer) tracer(parent trace.Span) trace.Tracer {
	if o.tracers.given == nil && parent.IsRecording() {
		return live(o.tracers.of(parent.TracerProvider()))
	}
	return live(o.tracers.now())
}

// decisionTracer is the tracer for decisions told in ctx; nil where no span in
// ctx records and none may begin.
func (o *Observer) decisionTracer(ctx context.Context) trace.Tracer {
	parent := trace.SpanFromContext(ctx)
	if parent.IsRecording() {
		return o.tracer(parent)
	}
	if t := live(o.tracers.now()); t != nil && begins(ctx, parent.SpanContext()) {
		return t
	}
	return nil
}

func live(t trace.Tracer, ok bool) trace.Tracer {
	if !ok {
		return nil
	}
	return t
}
