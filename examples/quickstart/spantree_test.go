package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

var (
	retriedTrace = spans{
		stub(4, 2, "magnetar.breaker.open", 5, 5, attribute.String("magnetar.reason", "failure_rate")),
		stub(3, 1, "magnetar.retry.wait", 5, 60, attribute.String("magnetar.reason", "status"), attribute.Float64("magnetar.retry_after", 0.055)),
		attempt(2, 1, 0, 60, attribute.Int("http.response.status_code", 503)),
		attempt(5, 1, 60, 62, attribute.Int("http.response.status_code", 200), attribute.Int("http.request.resend_count", 1)),
		stub(1, 0, "call GET", 0, 62, attribute.Int("http.response.status_code", 200), attribute.Int("magnetar.call.attempts", 2)),
	}
	refusedTrace = spans{
		linked(stub(2, 1, "magnetar.breaker.refuse", 0, 0, attribute.String("magnetar.reason", "circuit_open"))),
		stub(1, 0, "call GET", 0, 1, attribute.String("error.type", "circuit_open"), attribute.Int("magnetar.call.attempts", 0)),
	}
)

func TestTreeShowsRetry(t *testing.T) {
	require.Equal(t, `
Retried:
                                   begins       lasts
  call GET                        +0.0 ms     62.0 ms  200, 2 tries
  ├─ GET                          +0.0 ms     60.0 ms  503
  │  └─ magnetar.breaker.open     +5.0 ms      0.0 ms  failure_rate
  ├─ magnetar.retry.wait          +5.0 ms     55.0 ms  status, retry after 55.0 ms
  └─ GET                         +60.0 ms      2.0 ms  200, resend 1
`, draw("Retried:", retriedTrace))
}

func TestTreeShowsRefusal(t *testing.T) {
	require.Equal(t, `
Refused:
                                  begins       lasts
  call GET                       +0.0 ms      1.0 ms  circuit_open, 0 tries
  └─ magnetar.breaker.refuse     +0.0 ms      0.0 ms  circuit_open, → the try that opened the breaker
`, draw("Refused:", refusedTrace))
}

func TestTreeSaysThatNothingWasRecorded(t *testing.T) {
	require.Contains(t, draw("Refused:", nil), "none was recorded")
}

func TestRecorderKeepsTheTracesThatShowMost(t *testing.T) {
	unanswered := spans{
		attempt(2, 1, 0, 1, attribute.Int("http.request.resend_count", 1)),
		stub(1, 0, "call GET", 0, 1, attribute.Int("http.response.status_code", 503)),
	}
	r := newRecorder()
	for _, s := range []spans{unanswered, refusedTrace, retriedTrace, unanswered} {
		for _, span := range s {
			r.OnEnd(span)
		}
	}
	retried, refused := r.kept()
	require.Equal(t, retriedTrace, retried)
	require.Equal(t, refusedTrace, refused)
	require.Empty(t, r.open)
}

func TestRecorderIsBounded(t *testing.T) {
	r := newRecorder()
	for i := range 3 * mostTraces {
		id := trace.TraceID{1, byte(i >> 8), byte(i)}
		parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}})
		for range 2 * mostSpans {
			r.OnEnd(tracetest.SpanStub{SpanContext: parent.WithSpanID(trace.SpanID{2}), Parent: parent}.Snapshot())
		}
		require.LessOrEqual(t, len(r.open), mostTraces)
		require.LessOrEqual(t, len(r.open[id]), mostSpans)
	}
}

func stub(id, parent byte, name string, from, to int, attrs ...attribute.KeyValue) sdktrace.ReadOnlySpan {
	return stubOf(id, parent, name, from, to, attrs).Snapshot()
}

func attempt(id, parent byte, from, to int, attrs ...attribute.KeyValue) sdktrace.ReadOnlySpan {
	s := stubOf(id, parent, "GET", from, to, attrs)
	s.SpanKind = trace.SpanKindClient
	return s.Snapshot()
}

func linked(s sdktrace.ReadOnlySpan) sdktrace.ReadOnlySpan {
	stub := tracetest.SpanStubFromReadOnlySpan(s)
	stub.Links = []sdktrace.Link{{SpanContext: contextOf(9)}}
	return stub.Snapshot()
}

// stubOf is a span with its times in milliseconds; parent 0 makes it the root.
func stubOf(id, parent byte, name string, from, to int, attrs []attribute.KeyValue) tracetest.SpanStub {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := tracetest.SpanStub{
		Name: name, SpanContext: contextOf(id), Attributes: attrs,
		StartTime: began.Add(time.Duration(from) * time.Millisecond),
		EndTime:   began.Add(time.Duration(to) * time.Millisecond),
	}
	if parent != 0 {
		s.Parent = contextOf(parent)
	}
	return s
}

func contextOf(id byte) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{id}})
}
