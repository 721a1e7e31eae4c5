package otel

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// AttemptSpan is the span of one try, and its part of
// http.client.request.duration. The zero value is valid and does nothing.
type AttemptSpan struct {
	ctx      context.Context
	target   *target
	span     trace.Span              // nil where nothing records
	requests metric.Float64Histogram // nil where nothing measures
	began    time.Time               // for requests
}

// StartAttempt begins the span of a try; resend counts the tries before it. The
// context that it returns is the one to send with and to [Observer.Inject]; it
// is ctx itself where nothing can record.
func (o *Observer) StartAttempt(ctx context.Context, req *http.Request, resend int) (context.Context, AttemptSpan) {
	if o == nil || o.withoutAttempts {
		return ctx, AttemptSpan{}
	}
	var s AttemptSpan
	if m, ok := o.meters.now(); ok && m.requests.Enabled(ctx) {
		s.requests, s.began = m.requests, time.Now()
	}
	tracer := o.tracer(trace.SpanFromContext(ctx))
	if tracer == nil && s.requests == nil {
		return ctx, AttemptSpan{}
	}
	s.target = o.target(req, urlTemplate(ctx))
	if tracer != nil {
		var span trace.Span
		ctx, span = tracer.Start(ctx, s.target.attemptName, s.target.attemptStart...)
		if span.IsRecording() {
			s.span = span
			span.SetAttributes(attemptAttributes(req, resend, s.target)...)
		}
	}
	if s.span == nil && s.requests == nil {
		return ctx, AttemptSpan{}
	}
	s.ctx = ctx
	return ctx, s
}

// attemptAttributes are those worth building only for a span that records.
func attemptAttributes(req *http.Request, resend int, t *target) []attribute.KeyValue {
	attrs := []attribute.KeyValue{semconv.URLFull(redacted(req.URL))}
	if resend > 0 {
		attrs = append(attrs, semconv.HTTPRequestResendCount(resend))
	}
	if t.endpoint.method == methodOther {
		attrs = append(attrs, semconv.HTTPRequestMethodOriginal(req.Method))
	}
	return attrs
}

// Headers tells that the response headers are there, or the error instead of
// them. It is called once.
func (s AttemptSpan) Headers(resp *http.Response, err error) {
	if s.target == nil {
		return
	}
	r := resultOf(s.ctx, resp, err)
	known := s.target.ending(r)
	if s.requests != nil {
		s.requests.Record(s.ctx, time.Since(s.began).Seconds(), known.measured...)
	}
	if s.span != nil {
		r.describe(s.span, err, known.shown)
	}
}

// End ends the span when the response body has ended; err is what reading it
// failed with, nil if it was read or closed, or if Headers was told an error.
// Only the first End counts.
func (s AttemptSpan) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		r := failureOf(s.ctx, err)
		r.describe(s.span, err, r.shown())
	}
	s.span.End()
}

// target is what is known of req before it is sent.
func (o *Observer) target(req *http.Request, template string) *target {
	return o.targets.of(endpoint{
		method:   o.methods.normal(req.Method),
		scheme:   req.URL.Scheme,
		host:     req.URL.Host,
		template: template,
	})
}
