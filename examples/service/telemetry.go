package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// telemetry is all that is told of decisions: spans and metrics, lines of a log,
// and the console.
type telemetry struct {
	observer *otel.Observer
	others   policy.Observer // beside it
	logger   *slog.Logger
	// complaints are how many lines of its own the service may log.
	complaints *policy.RateLimiter
	log        *otel.LogObserver
	console    *otel.Console
	spans      *sdktrace.TracerProvider
	metrics    *sdkmetric.MeterProvider
}

// propagators carry a trace from the caller of the service to those that it calls.
var propagators = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// newTelemetry exports spans and metrics where OTEL_TRACES_EXPORTER and
// OTEL_METRICS_EXPORTER say so.
func newTelemetry(ctx context.Context, log io.Writer) (*telemetry, error) {
	var spanOpts []sdktrace.TracerProviderOption
	if os.Getenv("OTEL_TRACES_EXPORTER") != "" {
		exporter, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return nil, err
		}
		spanOpts = append(spanOpts, sdktrace.WithBatcher(exporter))
	}
	var metricOpts []sdkmetric.Option
	if os.Getenv("OTEL_METRICS_EXPORTER") != "" {
		reader, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return nil, err
		}
		metricOpts = append(metricOpts, sdkmetric.WithReader(reader))
	}
	logger := slog.New(slog.NewJSONHandler(log, nil))
	t := &telemetry{
		logger:     logger,
		complaints: policy.PerSecond(5),
		log:        otel.NewLogObserver(logger),
		console:    otel.NewConsole(),
		spans:      sdktrace.NewTracerProvider(spanOpts...),
		metrics:    sdkmetric.NewMeterProvider(metricOpts...),
	}
	t.others = policy.Observers(t.log, t.console)
	t.observer = otel.New(
		otel.WithTracerProvider(t.spans), otel.WithMeterProvider(t.metrics), otel.WithPropagators(propagators))
	return t, nil
}

// all is told by what has no telemetry of its own.
func (t *telemetry) all() policy.Observer { return policy.Observers(t.observer, t.others) }

// close flushes what has not been exported yet.
func (t *telemetry) close(ctx context.Context) error {
	t.log.Close()
	return errors.Join(t.spans.Shutdown(ctx), t.metrics.Shutdown(ctx))
}
