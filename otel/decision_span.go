package otel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// recordDecision makes a span of a decision after the fact. tripped is linked
// where it is valid.
func recordDecision(ctx context.Context, tracer trace.Tracer, d policy.Decision, s *series, tripped trace.SpanContext) {
	if s == others {
		s = newSeries(kind{d.Policy, d.Action, d.Reason})
	}
	began := d.Began
	if began.IsZero() {
		began = time.Now().Add(-d.Took)
	}
	opts := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithTimestamp(began),
		trace.WithAttributes(decisionAttributes(ctx, d, s)...),
	}
	if tripped.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: tripped}))
	}
	_, span := tracer.Start(ctx, s.name, opts...)
	span.End(trace.WithTimestamp(began.Add(d.Took)))
}

func decisionAttributes(ctx context.Context, d policy.Decision, s *series) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, len(s.common), len(s.common)+6)
	copy(attrs, s.common)
	if d.Key != "" {
		attrs = append(attrs, keyKey.String(d.Key))
	}
	for _, figure := range [...]struct {
		key   attribute.Key
		value int
	}{
		{keyAttempt, d.Attempt},
		{keyLimit, d.Limit},
		{keyInFlight, d.InFlight},
		{keyQueued, d.Queued},
		{keyCalls, d.Calls},
		{keyFailures, d.Failures},
		{keySlow, d.Slow},
	} {
		if figure.value != 0 {
			attrs = append(attrs, figure.key.Int(figure.value))
		}
	}
	if d.RetryAfter != 0 {
		attrs = append(attrs, keyRetryAfter.Float64(d.RetryAfter.Seconds()))
	}
	if failure := failureOf(ctx, d.Err).failure; failure != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(failure))
	}
	return attrs
}
