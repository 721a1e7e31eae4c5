package otel

import (
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// scope names the kit in what it tells.
const scope = "github.com/magnetar-go/magnetar/otel"

func newTracer(p trace.TracerProvider) (trace.Tracer, any) {
	t := p.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
	return t, t
}

func newMeter(p metric.MeterProvider) (*instruments, any) {
	m := p.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
	return newInstruments(m), m
}
