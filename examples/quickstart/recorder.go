package main

import (
	"context"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// recorder is a span processor that keeps two traces: one of a call that was
// retried, and one of a call that was refused.
type recorder struct {
	mu      sync.Mutex
	open    map[trace.TraceID]spans // of calls that have not ended
	retried spans
	refused spans
}

// spans are those of one trace.
type spans []sdktrace.ReadOnlySpan

// What the recorder holds at most: traces that have not ended, and spans of each.
const (
	mostTraces = 1024
	mostSpans  = 64
)

func newRecorder() *recorder { return &recorder{open: make(map[trace.TraceID]spans)} }

// kept returns the two traces, empty where none was seen.
func (r *recorder) kept() (retried, refused spans) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.retried, r.refused
}

// OnEnd collects a span, and judges its trace if it is the root.
func (r *recorder) OnEnd(s sdktrace.ReadOnlySpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := s.SpanContext().TraceID()
	if !s.Parent().IsValid() {
		r.judge(append(r.open[id], s))
		delete(r.open, id)
		return
	}
	if len(r.open) >= mostTraces {
		clear(r.open) // of traces whose root is long over
	}
	if len(r.open[id]) < mostSpans {
		r.open[id] = append(r.open[id], s)
	}
}

// judge keeps a trace that shows more than what is kept so far: a retry that
// brought an answer says more than one that did not.
func (r *recorder) judge(s spans) {
	switch {
	case s.resent() && (r.retried == nil || s.answered() && !r.retried.answered()):
		r.retried = s
	case s.refused() && r.refused == nil:
		r.refused = s
	}
}

func (s spans) resent() bool {
	return slices.ContainsFunc(s, func(sp sdktrace.ReadOnlySpan) bool {
		return attributeOf(sp, "http.request.resend_count").Type() != attribute.EMPTY
	})
}

func (s spans) answered() bool {
	i := slices.IndexFunc(s, isRoot)
	return i >= 0 && attributeOf(s[i], "http.response.status_code").AsInt64() == 200
}

// refused reports whether the call was refused before its first try.
func (s spans) refused() bool {
	tried := slices.ContainsFunc(s, func(sp sdktrace.ReadOnlySpan) bool { return sp.SpanKind() == trace.SpanKindClient })
	return !tried && slices.ContainsFunc(s, func(sp sdktrace.ReadOnlySpan) bool { return strings.HasSuffix(sp.Name(), ".refuse") })
}

func isRoot(s sdktrace.ReadOnlySpan) bool { return !s.Parent().IsValid() }

// attributeOf is the value of an attribute, EMPTY where the span has none.
func attributeOf(s sdktrace.ReadOnlySpan, key attribute.Key) attribute.Value {
	for _, kv := range s.Attributes() {
		if kv.Key == key {
			return kv.Value
		}
	}
	return attribute.Value{}
}

// OnStart, ForceFlush and Shutdown complete [sdktrace.SpanProcessor].
func (r *recorder) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// ForceFlush has nothing to do.
func (r *recorder) ForceFlush(context.Context) error { return nil }

// Shutdown has nothing to do.
func (r *recorder) Shutdown(context.Context) error { return nil }
