package otel

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/trace"
)

// CallSpan is the span of a whole call with its retries. The zero value is
// valid and does nothing.
type CallSpan struct {
	ctx  context.Context // to tell the caller's cancel
	span trace.Span      // nil where nothing records
}

// StartCall begins the span of a call of req, which has a URL. The context that it returns is the one
// for all that the call does; it is ctx itself where nothing can record.
func (o *Observer) StartCall(ctx context.Context, req *http.Request) (context.Context, CallSpan) {
	if o == nil {
		return ctx, CallSpan{}
	}
	tracer := o.tracer(trace.SpanFromContext(ctx))
	if tracer == nil {
		return ctx, CallSpan{}
	}
	t := o.target(req, "")
	ctx, span := tracer.Start(ctx, t.callName, t.callStart...)
	if !span.IsRecording() {
		return ctx, CallSpan{}
	}
	return ctx, CallSpan{ctx, span}
}

// Recording reports whether the span will be seen.
func (s CallSpan) Recording() bool { return s.span != nil }

// End ends the span with what the caller gets, after so many attempts. Only the
// first End counts.
func (s CallSpan) End(resp *http.Response, err error, attempts int) {
	if s.span == nil {
		return
	}
	r := resultOf(s.ctx, resp, err)
	r.version = "" // that is for the tries
	r.describe(s.span, err, append(r.shown(), keyCallAttempts.Int(attempts)))
	s.span.End()
}
