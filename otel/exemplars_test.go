package otel_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// traffic is a call with one try, and a wait before it; it returns the spans in
// their contexts.
func traffic(t *testing.T, r recorder, parent context.Context) (call, try trace.SpanContext) {
	t.Helper()
	req := get(t, "https://api.example.com/")
	ctx, cs := r.StartCall(parent, req)
	r.Observe(ctx, policy.Decision{
		Policy: policy.PolicyConcurrency, Action: policy.ActionWait, Took: time.Second, InFlight: 3,
	})
	attempt, as := r.StartAttempt(ctx, req, 0)
	as.Headers(response(200), nil)
	as.End(nil)
	cs.End(response(200), nil, 1)
	return trace.SpanContextFromContext(ctx), trace.SpanContextFromContext(attempt)
}

func TestExemplarsLeadToTheSampledSpan(t *testing.T) {
	r := record(t)
	parent, _ := r.parent()
	call, try := traffic(t, r, parent)
	require.NotEqual(t, call.SpanID(), try.SpanID())
	require.Equal(t, []trace.SpanID{try.SpanID()}, r.exemplars("http.client.request.duration", call.TraceID()))
	require.Equal(t, []trace.SpanID{call.SpanID()}, r.exemplars("magnetar.decisions", call.TraceID()))
	require.Equal(t, []trace.SpanID{call.SpanID()}, r.exemplars("magnetar.wait.duration", call.TraceID()))
	require.Equal(t, []trace.SpanID{call.SpanID()}, r.exemplars("magnetar.in_flight", call.TraceID()))
}

func TestWhatIsNotSampledHasNoExemplar(t *testing.T) {
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	cases := map[string]func() context.Context{
		"no span": context.Background,
		"a span that the sampler refused": func() context.Context {
			ctx, _ := never.Tracer("test").Start(context.Background(), "parent")
			return ctx
		},
		"a remote span that is not sampled": func() context.Context {
			return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, Remote: true,
			}))
		},
	}
	for name, parent := range cases {
		t.Run(name, func(t *testing.T) {
			r := record(t, otel.WithTracerProvider(never))
			traffic(t, r, parent())
			for _, metric := range []string{"http.client.request.duration", "magnetar.decisions", "magnetar.wait.duration", "magnetar.in_flight"} {
				require.NotNil(t, r.metric(metric), metric)
				require.Empty(t, r.exemplars(metric, trace.TraceID{}), metric)
			}
		})
	}
}

func TestExemplarOfABackgroundDecisionLeadsToItsCause(t *testing.T) {
	r := record(t)
	cause, request := r.parent()
	d := inPool(policy.ActionEject)
	d.Err = errors.New("refused")
	r.Observe(otel.Background(cause), d)
	require.Equal(t, []trace.SpanID{request.SpanContext().SpanID()},
		r.exemplars("magnetar.decisions", request.SpanContext().TraceID()))
	require.False(t, r.span("magnetar.pool.eject").Parent().IsValid(), "it is a root all the same")
}

func TestBackgroundDecisionWithoutACauseHasNoExemplar(t *testing.T) {
	r := record(t)
	r.Observe(otel.Background(t.Context()), inPool(policy.ActionReturn))
	require.Empty(t, r.exemplars("magnetar.decisions", trace.TraceID{}))
}

// exemplars are the spans that those of a metric lead to; all of them are of one
// trace.
func (r recorder) exemplars(name string, of trace.TraceID) []trace.SpanID {
	r.t.Helper()
	var spans []trace.SpanID
	switch data := r.metric(name).(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			spans = append(spans, spansOf(r.t, p.Exemplars, of)...)
		}
	case metricdata.Histogram[int64]:
		for _, p := range data.DataPoints {
			spans = append(spans, spansOf(r.t, p.Exemplars, of)...)
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			spans = append(spans, spansOf(r.t, p.Exemplars, of)...)
		}
	}
	return spans
}

func spansOf[N int64 | float64](t testing.TB, exemplars []metricdata.Exemplar[N], of trace.TraceID) []trace.SpanID {
	t.Helper()
	var spans []trace.SpanID
	for _, e := range exemplars {
		require.Equal(t, of[:], e.TraceID)
		require.Empty(t, e.FilteredAttributes)
		spans = append(spans, trace.SpanID(e.SpanID))
	}
	return spans
}
