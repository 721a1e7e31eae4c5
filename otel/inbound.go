package otel

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// Inbound returns the context in which decisions about a request to a server
// are told, h being the request's headers. It is ctx itself where a span is in
// it already, where the caller's trace is not sampled, and where nothing makes
// spans. Else decisions told in it that held up or refused the request become
// spans although none records: under the span of the caller that h names, or as
// roots where it names none.
//
// The handler is not to get that context: what it calls in turn is outbound.
func (o *Observer) Inbound(ctx context.Context, h http.Header) context.Context {
	if o == nil || live(o.tracers.now()) == nil {
		return ctx
	}
	inbound := ctx
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		inbound = o.extract(ctx, h)
		sc = trace.SpanContextFromContext(inbound)
	}
	if sc.IsValid() && (!sc.IsRemote() || !sc.IsSampled()) {
		return ctx
	}
	return context.WithValue(inbound, inboundKey{}, inboundKey{})
}

func (o *Observer) extract(ctx context.Context, h http.Header) context.Context {
	p, ok := o.propagators.now()
	if !ok || !p.reads(h) {
		return ctx
	}
	return p.Extract(ctx, propagation.HeaderCarrier(h))
}

type inboundKey struct{}

// begins reports whether a decision told in ctx may begin a trace, or this
// process's part of one. parent is the span in ctx; a local one, whether it
// records or not, has settled that.
func begins(ctx context.Context, parent trace.SpanContext) bool {
	if parent.IsValid() && !parent.IsRemote() {
		return false
	}
	_, background := causeOf(ctx)
	return background || ctx.Value(inboundKey{}) != nil
}

// matters reports whether d held up or refused its request, and is worth a span
// where no other tells of the request.
func matters(d policy.Decision) bool {
	switch d.Action {
	case policy.ActionRefuse, policy.ActionTimeout, policy.ActionWait:
		return true
	case policy.ActionAdmit:
		return d.Took > 0
	}
	return false
}
