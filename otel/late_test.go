package otel_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	api "go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

const freshProcess = "MAGNETAR_TEST_FRESH_PROCESS"

// inFreshProcess runs the rest of a test in a process of its own: the global
// providers can be set once, and the other tests want none.
func inFreshProcess(t *testing.T) bool {
	if os.Getenv(freshProcess) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), freshProcess+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name())
	return false
}

func TestSDKInstalledLaterIsNoticed(t *testing.T) {
	if !inFreshProcess(t) {
		return
	}
	ctx := context.Background()
	observers := map[string]*otel.Observer{
		"global": otel.New(),
		"given the stand-ins": otel.New(
			otel.WithTracerProvider(api.GetTracerProvider()),
			otel.WithMeterProvider(api.GetMeterProvider()),
			otel.WithPropagators(api.GetTextMapPropagator())),
	}
	for name, o := range observers {
		require.False(t, o.Enabled(ctx), name)
		require.False(t, o.Injects(), name)
		_, call := o.StartCall(ctx, get(t, "http://example.com"))
		require.False(t, call.Recording(), name)
	}

	spans, reader := tracetest.NewSpanRecorder(), sdkmetric.NewManualReader()
	api.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
	for name, o := range observers {
		require.False(t, o.Enabled(ctx), "%s: nothing counts it, and no span is its parent", name)
		callCtx, call := o.StartCall(ctx, get(t, "http://example.com"))
		require.True(t, call.Recording(), name)
		require.True(t, o.Enabled(callCtx), name)
		o.Observe(callCtx, policy.Decision{Policy: "retry", Action: "wait"})
		call.End(nil, nil, 1)
	}
	require.Len(t, spans.Ended(), 4)

	api.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	for name, o := range observers {
		require.True(t, o.Enabled(ctx), name)
		o.Observe(ctx, policy.Decision{Policy: "retry", Action: "wait"})
	}
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(ctx, &all))
	require.Equal(t, int64(2), all.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints[0].Value)

	api.SetTextMapPropagator(traceContext)
	for name, o := range observers {
		require.True(t, o.Injects(), name)
		tryCtx, _ := o.StartAttempt(ctx, get(t, "http://example.com"), 0)
		h := make(http.Header)
		o.Inject(tryCtx, h)
		require.NotEmpty(t, h.Get("Traceparent"), name)
	}
}

func TestSDKThatReplacesAnotherIsNoticed(t *testing.T) {
	if !inFreshProcess(t) {
		return
	}
	o := otel.New()
	for range 2 {
		spans := tracetest.NewSpanRecorder()
		api.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
		_, call := o.StartCall(context.Background(), get(t, "http://example.com"))
		call.End(nil, nil, 1)
		require.Len(t, spans.Ended(), 1)
	}
}
