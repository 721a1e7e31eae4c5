package otel_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

var decision = policy.Decision{
	Policy: policy.PolicyConcurrency, Action: policy.ActionAdmit, Key: "https://api.example.com:443",
	Limit: 20, InFlight: 3,
}

// setting is how much of an SDK there is.
type setting struct {
	name     string
	observer *otel.Observer
	tracer   trace.Tracer // of the SDK, for comparison
	ctx      context.Context
}

func settings(t testing.TB) []setting {
	unsampled := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	sampled := sdktrace.NewTracerProvider()
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	t.Cleanup(func() { require.NoError(t, meters.Shutdown(context.Background())) })
	with := func(p trace.TracerProvider) *otel.Observer {
		return otel.New(otel.WithTracerProvider(p), otel.WithMeterProvider(meters))
	}
	begun := func(p trace.TracerProvider) context.Context {
		ctx, _ := p.Tracer("test").Start(context.Background(), "parent")
		return ctx
	}
	return []setting{
		{"no SDK", otel.New(), api.Tracer("test"), context.Background()},
		{"unsampled", with(unsampled), unsampled.Tracer("test"), begun(unsampled)},
		{"sampled", with(sampled), sampled.Tracer("test"), begun(sampled)},
	}
}

func allocs(t *testing.T, f func()) float64 {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	return testing.AllocsPerRun(200, f)
}

func TestDecisionAllocatesNothingWhereItIsNoSpan(t *testing.T) {
	for _, s := range settings(t)[:2] {
		require.Zero(t, allocs(t, func() { s.observer.Enabled(s.ctx) }), s.name)
		require.Zero(t, allocs(t, func() { s.observer.Observe(s.ctx, decision) }), s.name)
	}
	var none *otel.Observer
	require.Zero(t, allocs(t, func() { none.Observe(context.Background(), decision) }))
}

func TestCallAllocatesLittleWhereItIsNoSpan(t *testing.T) {
	all := settings(t)
	metrics := otel.New(otel.WithTracerProvider(tracenoop.NewTracerProvider()),
		otel.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))))
	req, resp := get(t, "https://api.example.com/users/42"), response(200)
	for _, tt := range []struct {
		setting
		ceiling float64
	}{
		{all[0], 0},
		{setting{name: "metrics alone", observer: metrics, ctx: context.Background()}, 0},
		{all[1], 6}, // of the SDK: for each span its context, its value and the attributes' copy
	} {
		got := allocs(t, func() { request(tt.ctx, tt.observer, req, resp) })
		require.LessOrEqual(t, got, tt.ceiling, tt.name)
	}
}

func TestSampledCallAllocatesLittleBesidesItsSpans(t *testing.T) {
	sampled := settings(t)[2]
	req, resp := get(t, "https://api.example.com/users/42"), response(200)
	got := allocs(t, func() { request(sampled.ctx, sampled.observer, req, resp) })
	// Of the SDK, for each of two spans: its context, its value, the attributes at
	// the start twice and those added later. The kit's are url.full, the slices that
	// it and the end of the call are told in.
	require.LessOrEqual(t, got, float64(2*5+3))
}

func TestDecisionSpanAllocatesLittle(t *testing.T) {
	sampled := settings(t)[2]
	at := decision
	at.Began = time.Now()
	got := allocs(t, func() { sampled.observer.Observe(sampled.ctx, at) })
	require.LessOrEqual(t, got, float64(5+5), "as above; and two timestamps, the options, the figures")
}

func TestRoutineDecisionAllocatesNothingWhereOnlyTheOthersAreSpans(t *testing.T) {
	spans := sdktrace.NewTracerProvider()
	ctx, _ := spans.Tracer("test").Start(context.Background(), "parent")
	o := otel.New(otel.WithTracerProvider(spans), otel.WithDetail(otel.Consequential))
	require.Zero(t, allocs(t, func() { o.Observe(ctx, decision) }))
}

func TestInjectsAllocatesNothing(t *testing.T) {
	for _, o := range []*otel.Observer{otel.New(), otel.New(otel.WithPropagators(traceContext))} {
		require.Zero(t, allocs(t, func() { o.Injects() }))
	}
}

func request(ctx context.Context, o *otel.Observer, req *http.Request, resp *http.Response) {
	ctx, call := o.StartCall(ctx, req)
	_, try := o.StartAttempt(ctx, req, 0)
	try.Headers(resp, nil)
	try.End(nil)
	call.End(resp, nil, 1)
}

func BenchmarkEnabled(b *testing.B) {
	for _, s := range settings(b) {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.observer.Enabled(s.ctx)
			}
		})
	}
}

func BenchmarkObserve(b *testing.B) {
	for _, s := range settings(b) {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			d := decision
			for b.Loop() {
				if s.observer.Enabled(s.ctx) {
					d.Began = time.Now()
					s.observer.Observe(s.ctx, d)
				}
			}
		})
	}
}

func BenchmarkCallWithOneAttempt(b *testing.B) {
	req, resp := get(b, "https://api.example.com/users/42"), response(200)
	for _, s := range settings(b) {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request(s.ctx, s.observer, req, resp)
			}
		})
	}
}

func BenchmarkInjects(b *testing.B) {
	for name, o := range map[string]*otel.Observer{
		"no SDK": otel.New(), "composite": otel.New(otel.WithPropagators(traceContext)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				o.Injects()
			}
		})
	}
}

// The bare costs of OpenTelemetry, to hold the above against.

func BenchmarkBareSpan(b *testing.B) {
	for _, s := range settings(b) {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, span := s.tracer.Start(s.ctx, "span")
				span.End()
			}
		})
	}
}

func BenchmarkBareCounter(b *testing.B) {
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	counter, err := meters.Meter("test").Int64Counter("bare")
	require.NoError(b, err)
	opts := []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(
		attribute.String("a", "x"), attribute.String("b", "y"), attribute.String("c", "z")))}
	b.ReportAllocs()
	for b.Loop() {
		counter.Add(context.Background(), 1, opts...)
	}
}
