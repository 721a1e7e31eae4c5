package otel

import (
	"context"

	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// instruments are the metrics of one meter.
type instruments struct {
	decisions    metric.Int64Counter
	waits        metric.Float64Histogram
	inFlight     metric.Int64Histogram
	limit        metric.Int64Gauge
	breakersOpen metric.Int64UpDownCounter
	requests     metric.Float64Histogram
	levels       levels
}

func newInstruments(m metric.Meter) *instruments {
	requests, err := httpconv.NewClientRequestDuration(m)
	return &instruments{
		decisions: ok(m.Int64Counter("magnetar.decisions",
			metric.WithUnit("{decision}"),
			metric.WithDescription("Decisions taken by policies."))),
		waits: ok(m.Float64Histogram("magnetar.wait.duration",
			metric.WithUnit("s"),
			metric.WithDescription("Time that tries waited before a policy, or between tries."),
			metric.WithExplicitBucketBoundaries(.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30))),
		inFlight: ok(m.Int64Histogram("magnetar.in_flight",
			metric.WithUnit("{try}"),
			metric.WithDescription("Tries in flight under a policy, as its decisions found them."),
			metric.WithExplicitBucketBoundaries(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096))),
		limit: ok(m.Int64Gauge("magnetar.limit",
			metric.WithUnit("{try}"),
			metric.WithDescription("Limit of tries in flight, or per period, after its last change."))),
		breakersOpen: ok(m.Int64UpDownCounter("magnetar.breaker.open",
			metric.WithUnit("{breaker}"),
			metric.WithDescription("Circuit breakers that are not closed."))),
		requests: ok(requests.Inst(), err),
		levels:   newLevels(m),
	}
}

// ok hands the error of an instrument to the API; the instrument can be used
// all the same.
func ok[T any](instrument T, err error) T {
	if err != nil {
		api.Handle(err)
	}
	return instrument
}

// decisionsEnabled reports whether anything measures decisions: a view may drop
// an instrument, and an SDK without a reader drops all.
func (m *instruments) decisionsEnabled(ctx context.Context) bool {
	return m.decisions.Enabled(ctx) || m.waits.Enabled(ctx) || m.inFlight.Enabled(ctx) ||
		m.limit.Enabled(ctx) || m.breakersOpen.Enabled(ctx)
}

func (m *instruments) decision(ctx context.Context, d policy.Decision, s *series) {
	if unawaited(d.Action) {
		ctx = withCause(ctx)
	}
	m.decisions.Add(ctx, 1, s.decision...)
	if d.Took > 0 && waited(d.Action) {
		m.waits.Record(ctx, d.Took.Seconds(), s.wait...)
	}
	if d.InFlight > 0 {
		m.inFlight.Record(ctx, int64(d.InFlight), s.policy...)
	}
	if d.Action == policy.ActionResize && d.Key == "" {
		m.limit.Record(ctx, int64(d.Limit), s.policy...)
	}
}

// waited reports whether the time that a decision took was spent waiting.
func waited(a policy.Action) bool {
	return a == policy.ActionWait || a == policy.ActionAdmit || a == policy.ActionAcquire || a == policy.ActionRefuse
}

// unawaited reports whether a is what a pool decides while nobody waits for it.
func unawaited(a policy.Action) bool {
	switch a {
	case policy.ActionEject, policy.ActionReturn, policy.ActionRotate, policy.ActionRetire,
		policy.ActionResolve, policy.ActionProbe, policy.ActionLeak:
		return true
	}
	return false
}

// withCause returns ctx with the span that led to a decision in the background,
// where one did, for that is where an exemplar is to lead.
func withCause(ctx context.Context) context.Context {
	if cause, background := causeOf(ctx); background && cause.IsValid() {
		return trace.ContextWithSpanContext(ctx, cause)
	}
	return ctx
}
