package otel

import (
	"context"
	"slices"
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
	opts := append(slices.Clip(s.start), trace.WithTimestamp(began))
	cause, _ := causeOf(ctx)
	for _, linked := range [...]trace.SpanContext{tripped, cause} {
		if linked.IsValid() {
			opts = append(opts, trace.WithLinks(trace.Link{SpanContext: linked}))
		}
	}
	_, span := tracer.Start(ctx, s.name, opts...)
	if !span.IsRecording() {
		return // a sampler said no
	}
	span.SetAttributes(figures(ctx, d)...)
	span.End(trace.WithTimestamp(began.Add(max(d.Took, shortest))))
}

// shortest is how long the span of a decision lasts that took no time: Jaeger
// warns of one that ends as it begins.
const shortest = time.Nanosecond

// figures are the attributes worth building only for a span that records.
func figures(ctx context.Context, d policy.Decision) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, 4)
	for _, name := range [...]struct {
		key   attribute.Key
		value string
	}{
		{keyKey, d.Key},
		{keyEndpoint, d.Endpoint},
		{keyNote, d.Note},
	} {
		if name.value != "" {
			attrs = append(attrs, name.key.String(name.value))
		}
	}
	if d.Age != 0 {
		attrs = append(attrs, keyAge.Float64(d.Age.Seconds()))
	}
	if d.Reused {
		attrs = append(attrs, keyReused.Bool(true))
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
