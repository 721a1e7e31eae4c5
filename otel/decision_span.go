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
	if k := kindOf(d); k != s.kind { // beyond the bounds, that are the metrics' alone
		s = newSeries(k)
	}
	began := d.Began
	if began.IsZero() {
		began = time.Now().Add(-d.Took)
	}
	opts := make([]trace.SpanStartOption, len(s.start), len(s.start)+2)
	copy(opts, s.start)
	opts = append(opts, trace.WithTimestamp(began))
	if tripped.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: tripped}))
	}
	_, span := tracer.Start(ctx, s.name, opts...)
	if !span.IsRecording() {
		return // a sampler said no
	}
	span.SetAttributes(figures(ctx, d)...)
	span.End(trace.WithTimestamp(began.Add(d.Took)))
}

// figures are the attributes worth building only for a span that records.
func figures(ctx context.Context, d policy.Decision) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, 6)
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
