package otel

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// Background returns the context in which decisions are told that a background
// task takes, because of what happened in cause where something did: each is the
// root of a trace of its own, with a link to the span in cause. Nothing else of
// cause is kept.
func Background(cause context.Context) context.Context {
	return context.WithValue(context.Background(), backgroundKey{}, trace.SpanContextFromContext(cause))
}

type backgroundKey struct{}

// causeOf returns the span that led to a decision in the background, not valid
// where there is none, and whether ctx is of the background.
func causeOf(ctx context.Context) (cause trace.SpanContext, background bool) {
	cause, background = ctx.Value(backgroundKey{}).(trace.SpanContext)
	return cause, background
}
