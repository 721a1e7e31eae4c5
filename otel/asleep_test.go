package otel_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
)

func TestObserverSleepsUntilThereIsSomethingToDo(t *testing.T) {
	remote := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1},
	}))
	require.True(t, (*otel.Observer)(nil).Asleep(remote))
	require.True(t, otel.New().Asleep(t.Context()))
	require.False(t, otel.New().Asleep(remote), "a trace may have to be passed on")

	traces, metrics := sdktrace.NewTracerProvider(), sdkmetric.NewMeterProvider()
	t.Cleanup(func() {
		require.NoError(t, traces.Shutdown(context.Background()))
		require.NoError(t, metrics.Shutdown(context.Background()))
	})
	require.False(t, otel.New(otel.WithTracerProvider(traces)).Asleep(t.Context()))
	require.False(t, otel.New(otel.WithMeterProvider(metrics)).Asleep(t.Context()))
	require.False(t, otel.New(otel.WithPropagators(propagation.TraceContext{})).Asleep(t.Context()))
}
