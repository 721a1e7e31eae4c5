package otel_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

const (
	callersTrace = "0af7651916cd43dd8448eb211c80319c"
	callersSpan  = "b7ad6b7169203331"
)

// traceparent is the header of a caller.
func traceparent(flags string) http.Header {
	return http.Header{"Traceparent": {"00-" + callersTrace + "-" + callersSpan + "-" + flags}}
}

var (
	sampled   = traceparent("01")
	unsampled = traceparent("00")
)

func sampling(s sdktrace.Sampler) (*otel.Observer, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	p := sdktrace.NewTracerProvider(sdktrace.WithSampler(s), sdktrace.WithSpanProcessor(spans))
	return otel.New(otel.WithTracerProvider(p), otel.WithPropagators(traceContext)), spans
}

// Inbound trap 31: a refusal becomes a span only where its parent records, or
// where nothing has settled whether the request is sampled and the sampler says so.
func TestRefusalOfARequestIsASpanWhereTheRequestIsSampled(t *testing.T) {
	always, never := sdktrace.AlwaysSample(), sdktrace.NeverSample()
	for _, c := range []struct {
		name    string
		sampler sdktrace.Sampler
		ctx     func(trace.TracerProvider) context.Context
		header  http.Header
		spans   int
		trace   string // of the caller, where it is part of that
	}{
		{name: "server span", sampler: always, ctx: serverSpan, header: unsampled, spans: 1},
		{name: "unsampled server span", sampler: never, ctx: serverSpan, header: sampled},
		{name: "ended server span", sampler: always, ctx: endedSpan, header: sampled},
		{name: "sampled caller", sampler: sdktrace.ParentBased(never), header: sampled, spans: 1, trace: callersTrace},
		{name: "sampled caller, sampler says no", sampler: never, header: sampled},
		{name: "unsampled caller", sampler: always, header: unsampled},
		{name: "sampled caller in the context", sampler: always, ctx: caller(trace.FlagsSampled), spans: 1, trace: callersTrace},
		{name: "unsampled caller in the context", sampler: always, ctx: caller(0), header: sampled},
		{name: "no caller", sampler: always, spans: 1},
		{name: "no caller, sampler says no", sampler: never},
		{name: "malformed caller", sampler: always, header: http.Header{"Traceparent": {"00-xyz-1-01"}}, spans: 1},
		{name: "baggage alone", sampler: always, header: http.Header{"Baggage": {"a=b"}}, spans: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			spans := tracetest.NewSpanRecorder()
			p := sdktrace.NewTracerProvider(sdktrace.WithSampler(c.sampler), sdktrace.WithSpanProcessor(spans))
			o := otel.New(otel.WithTracerProvider(p), otel.WithPropagators(traceContext))
			ctx := context.Background()
			if c.ctx != nil {
				ctx = c.ctx(p)
			}
			ended := len(spans.Ended())
			server := trace.SpanContextFromContext(ctx)

			o.Observe(o.Inbound(ctx, c.header), refusal)

			got := spans.Ended()[ended:]
			require.Len(t, got, c.spans)
			if c.spans == 0 {
				return
			}
			require.Equal(t, "magnetar.shed.refuse", got[0].Name())
			switch {
			case c.trace != "":
				require.Equal(t, c.trace, got[0].SpanContext().TraceID().String())
				require.Equal(t, callersSpan, got[0].Parent().SpanID().String())
				require.True(t, got[0].Parent().IsRemote())
			default:
				require.Equal(t, server.SpanID(), got[0].Parent().SpanID())
			}
		})
	}
}

var refusal = policy.Decision{
	Policy: policy.PolicyShed, Action: policy.ActionRefuse, Reason: policy.ReasonLimitReached, Route: "/orders/{id}",
}

func serverSpan(p trace.TracerProvider) context.Context {
	ctx, _ := p.Tracer("server").Start(context.Background(), "GET", trace.WithSpanKind(trace.SpanKindServer))
	return ctx
}

func endedSpan(p trace.TracerProvider) context.Context {
	ctx := serverSpan(p)
	trace.SpanFromContext(ctx).End()
	return ctx
}

func caller(flags trace.TraceFlags) func(trace.TracerProvider) context.Context {
	traceID, _ := trace.TraceIDFromHex(callersTrace)
	spanID, _ := trace.SpanIDFromHex(callersSpan)
	return func(trace.TracerProvider) context.Context {
		return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: traceID, SpanID: spanID, TraceFlags: flags,
		}))
	}
}

func TestOnlyDecisionsThatMatterBeginTraces(t *testing.T) {
	for _, header := range []http.Header{nil, sampled} {
		o, spans := sampling(sdktrace.AlwaysSample())
		ctx := o.Inbound(t.Context(), header)
		require.True(t, o.Enabled(ctx))
		for _, d := range []policy.Decision{
			{Policy: policy.PolicyShed, Action: policy.ActionAdmit},
			{Policy: policy.PolicyShed, Action: policy.ActionAdmit, Took: time.Millisecond},
			{Policy: policy.PolicyShed, Action: policy.ActionWait, Took: time.Millisecond},
			{Policy: policy.PolicyShed, Action: policy.ActionResize, Limit: 4},
			{Policy: policy.PolicyShed, Action: policy.ActionBypass, Reason: policy.ReasonStream},
			{Policy: policy.PolicyQuota, Action: policy.ActionRefuse},
			{Policy: policy.PolicyDeadline, Action: policy.ActionTimeout, Reason: policy.ReasonOverrun},
		} {
			o.Observe(ctx, d)
		}
		var names []string
		for _, s := range spans.Ended() {
			names = append(names, s.Name())
		}
		require.Equal(t, []string{
			"magnetar.shed.admit", "magnetar.shed.wait", "magnetar.quota.refuse", "magnetar.deadline.timeout",
		}, names)
	}
}

func TestOutboundDecisionsNeverBeginTraces(t *testing.T) {
	o, spans := sampling(sdktrace.AlwaysSample())
	for _, ctx := range []context.Context{t.Context(), caller(trace.FlagsSampled)(nil)} {
		require.False(t, o.Enabled(ctx))
		o.Observe(ctx, refusal)
	}
	require.Empty(t, spans.Ended())

	// An unsampled span begun below has settled it.
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	ctx, _ := never.Tracer("test").Start(o.Inbound(t.Context(), nil), "below")
	require.False(t, o.Enabled(ctx))
	o.Observe(ctx, refusal)
	require.Empty(t, spans.Ended())
}

func TestInboundLeavesTheContextWhereNothingMakesSpans(t *testing.T) {
	for name, o := range map[string]*otel.Observer{
		"nil": nil, "none": otel.New(), "propagator alone": otel.New(otel.WithPropagators(traceContext)),
	} {
		ctx := t.Context()
		require.Equal(t, ctx, o.Inbound(ctx, sampled), name)
	}
}

func TestDecisionAboutARequestTellsItsRoutePriorityAndShadow(t *testing.T) {
	r := record(t)
	ctx, _ := r.parent()
	for _, d := range []policy.Decision{
		{Policy: policy.PolicyShed, Action: policy.ActionRefuse, Reason: policy.ReasonEvicted, Route: "/a/{id}", Priority: policy.Bulk, Shadow: true},
		{Policy: policy.PolicyShed, Action: policy.ActionAdmit, Route: "unrouted"},
		{Policy: policy.PolicyQuota, Action: policy.ActionRefuse, Reason: policy.ReasonRateLimit, Key: "192.0.2.1", Route: "/a/{id}"},
		{Policy: policy.PolicyConcurrency, Action: policy.ActionAdmit, Priority: policy.Critical},
		{Policy: policy.PolicyConcurrency, Action: policy.ActionWait},
	} {
		r.Observe(ctx, d)
	}
	want := []map[string]any{
		{
			"magnetar.policy": "shed", "magnetar.action": "refuse", "magnetar.reason": "evicted",
			"http.route": "/a/{id}", "magnetar.priority": "bulk", "magnetar.shadow": true,
		},
		{"magnetar.policy": "shed", "magnetar.action": "admit", "http.route": "unrouted", "magnetar.priority": "normal"},
		{
			"magnetar.policy": "quota", "magnetar.action": "refuse", "magnetar.reason": "rate_limit",
			"http.route": "/a/{id}", "magnetar.key": "192.0.2.1",
		},
		{"magnetar.policy": "concurrency", "magnetar.action": "admit", "magnetar.priority": "critical"},
		{"magnetar.policy": "concurrency", "magnetar.action": "wait"},
	}
	for i, s := range r.spans.Ended() {
		require.Equal(t, want[i], attrs(s))
	}

	delete(want[2], "magnetar.key") // keys are without bound
	sums := r.sums("magnetar.decisions")
	require.Len(t, sums, len(want))
	for _, w := range want {
		var kvs []attribute.KeyValue
		for k, v := range w {
			if b, ok := v.(bool); ok {
				kvs = append(kvs, attribute.Bool(k, b))
			} else {
				kvs = append(kvs, attribute.String(k, v.(string)))
			}
		}
		require.Equal(t, int64(1), sums[set(kvs...)], w)
	}
}

func TestWaitsAreToldApartByPriority(t *testing.T) {
	r := record(t)
	r.Observe(t.Context(), policy.Decision{
		Policy: policy.PolicyShed, Action: policy.ActionWait, Took: time.Second, Route: "/a", Priority: policy.Low,
	})
	require.Equal(t, map[string]any{
		"magnetar.policy": "shed", "magnetar.action": "wait", "magnetar.priority": "low",
	}, plain(attributesOf(r.histogram("magnetar.wait.duration"))))
}

// Inbound trap 16: even labels that are made of anything make a bounded number
// of series.
func TestMetricsOfRoutesAreBounded(t *testing.T) {
	r := record(t)
	ctx, _ := r.parent()
	d := refusal
	for i := range 1500 {
		d.Route = fmt.Sprint("/", i)
		r.Observe(ctx, d)
	}
	sums := r.sums("magnetar.decisions")
	require.Len(t, sums, 901)
	require.Equal(t, int64(600), sums[set(
		attribute.String("magnetar.policy", "shed"), attribute.String("magnetar.action", "refuse"),
		attribute.String("magnetar.reason", "limit_reached"), attribute.String("magnetar.priority", "normal"),
		attribute.String("http.route", "_OTHER"))], "all else is told apart")
	last := r.spans.Ended()[1499]
	require.Equal(t, "/1499", attrs(last)["http.route"], "spans tell it all the same")
}

func TestSamplersSeeWhatWasDecided(t *testing.T) {
	var seen map[string]any
	o, spans := sampling(samplerFunc(func(p sdktrace.SamplingParameters) { seen = plain(p.Attributes) }))
	o.Observe(o.Inbound(t.Context(), nil), refusal)
	require.Empty(t, spans.Ended())
	require.Equal(t, map[string]any{
		"magnetar.policy": "shed", "magnetar.action": "refuse", "magnetar.reason": "limit_reached",
		"magnetar.priority": "normal", "http.route": "/orders/{id}",
	}, seen)
}

// Inbound trap 31: at ten times the load nearly everything is a refusal, so to
// tell one that nobody samples costs nothing.
func TestRefusalAllocatesNothingWhereItIsNoSpan(t *testing.T) {
	for _, s := range settings(t)[:2] { // none, and an SDK with metrics and an unsampled server span
		require.Zero(t, allocs(t, func() {
			ctx := s.observer.Inbound(s.ctx, sampled)
			if s.observer.Enabled(ctx) {
				s.observer.Observe(ctx, refusal)
			}
		}), s.name)
	}
}

func TestChangesOfALimitAllocateNothing(t *testing.T) {
	for _, s := range settings(t)[:2] {
		resize := policy.Decision{Policy: policy.PolicyShed, Action: policy.ActionResize, Limit: 7}
		require.Zero(t, allocs(t, func() { s.observer.Observe(s.ctx, resize) }), s.name)
	}
}

func TestInboundAllocatesOnceWhereATraceMayBegin(t *testing.T) {
	o, _ := sampling(sdktrace.NeverSample())
	h := http.Header{"Accept": {"*/*"}}
	ctx := context.Background()
	require.LessOrEqual(t, allocs(t, func() { o.Inbound(ctx, h) }), 1.0)
}

func BenchmarkInboundRefusal(b *testing.B) {
	all := settings(b)
	roots, _ := sampling(sdktrace.NeverSample())
	for _, s := range append(all, setting{name: "root, unsampled", observer: roots, ctx: context.Background()}) {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			d := refusal
			for b.Loop() {
				ctx := s.observer.Inbound(s.ctx, nil)
				if s.observer.Enabled(ctx) {
					d.Began = time.Now()
					s.observer.Observe(ctx, d)
				}
			}
		})
	}
}

func BenchmarkResize(b *testing.B) {
	for _, s := range settings(b)[:2] {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			d := policy.Decision{Policy: policy.PolicyShed, Action: policy.ActionResize, Limit: 7}
			for b.Loop() {
				s.observer.Observe(s.ctx, d)
			}
		})
	}
}
