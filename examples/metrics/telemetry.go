package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// telemetry is the OpenTelemetry SDK, as the global providers: the kit finds it
// there, and so does otelhttp.
type telemetry struct {
	traces  *sdktrace.TracerProvider
	metrics *sdkmetric.MeterProvider
	handler http.Handler // of /metrics
}

// oneIn so many traces is sampled. Only those have exemplars, for only those can
// be looked at.
const oneIn = 10

func newTelemetry(ctx context.Context) (*telemetry, error) {
	res, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("magnetar-metrics")),
		resource.WithFromEnv(), // the last one wins
	)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(
		exporter.WithRegisterer(registry),
		// The names in alerts.yml and dashboard.json: magnetar.wait.duration in
		// seconds is magnetar_wait_duration_seconds.
		exporter.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
		exporter.WithoutScopeInfo(),
	)
	if err != nil {
		return nil, err
	}
	sampling := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(res),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(1.0 / oneIn))),
	}
	if os.Getenv("OTEL_TRACES_EXPORTER") != "" { // else nobody gets them
		spans, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return nil, err
		}
		sampling = append(sampling, sdktrace.WithBatcher(spans))
	}
	t := &telemetry{
		traces:  sdktrace.NewTracerProvider(sampling...),
		metrics: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(reader)),
		// Exemplars are part of the OpenMetrics format alone.
		handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}),
	}
	otel.SetTracerProvider(t.traces)
	otel.SetMeterProvider(t.metrics)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return t, nil
}

// flushTime is all that a collector gets at the end.
const flushTime = 2 * time.Second

func (t *telemetry) close() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := errors.Join(t.traces.Shutdown(ctx), t.metrics.Shutdown(ctx)); err != nil {
		otel.Handle(err)
	}
}
