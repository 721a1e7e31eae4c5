package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// flushTime is all that a collector gets at the end.
const flushTime = 2 * time.Second

// telemetry is the OpenTelemetry SDK as its OTEL_* variables say, and the
// recorder beside it.
type telemetry struct {
	provider *sdktrace.TracerProvider
	service  string
	exports  bool
	warnings io.Writer
	warned   sync.Once
	failed   atomic.Bool
	closed   sync.Once
}

func newTelemetry(ctx context.Context, spans *recorder, warnings io.Writer) *telemetry {
	t := &telemetry{warnings: warnings}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(t.warn))
	res, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("magnetar-quickstart")),
		resource.WithFromEnv(), // the last one wins
	)
	if err != nil {
		t.warn(err)
	}
	if v, ok := res.Set().Value(semconv.ServiceNameKey); ok {
		t.service = v.AsString()
	}
	opts := []sdktrace.TracerProviderOption{sdktrace.WithResource(res), sdktrace.WithSpanProcessor(spans)}
	if wantsExport() {
		exporter, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			t.warn(err)
		} else if !autoexport.IsNoneSpanExporter(exporter) {
			t.exports = true
			opts = append(opts, sdktrace.WithBatcher(exporter))
		}
	}
	t.provider = sdktrace.NewTracerProvider(opts...)
	return t
}

// wantsExport: without a word from outside nothing is exported, though the
// specification's default would be to localhost.
func wantsExport() bool {
	return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
		os.Getenv("OTEL_TRACES_EXPORTER")) != ""
}

// warn tells of the first error that it is handed.
func (t *telemetry) warn(err error) {
	t.warned.Do(func() {
		t.failed.Store(true)
		_, _ = fmt.Fprintf(t.warnings, "\nwarning: the spans could not all be exported, all else goes on: %v\n", err)
	})
}

// close sends what is left, in bounded time.
func (t *telemetry) close() {
	t.closed.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTime)
		defer cancel()
		if err := t.provider.Shutdown(ctx); err != nil {
			t.warn(err)
		}
	})
}

// hint tells where to find the spans; where they did not arrive, the warning has
// said enough.
func (t *telemetry) hint() string {
	switch {
	case !t.exports:
		return `
To see all spans in Jaeger:
  docker compose -f examples/jaeger/compose.yaml up -d
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 go -C examples run ./quickstart
`
	case t.failed.Load():
		return ""
	}
	return fmt.Sprintf(`
In Jaeger (http://127.0.0.1:16686 with examples/jaeger/compose.yaml), search for
  service   %s
  tags      http.request.resend_count=1   tries that were a retry
            magnetar.reason=circuit_open  calls that the breaker refused
            magnetar.action=open          the moment at which it opened
`, t.service)
}
