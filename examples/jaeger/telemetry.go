package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
)

// Who makes spans, as Jaeger shows it.
const (
	customer = "customer"
	shop     = "shop"
	orders   = "orders"
	stock    = "stock"
)

// flushTime is all that a collector gets to take the spans of a story.
const flushTime = 10 * time.Second

// telemetry is an OpenTelemetry SDK for each service, as if they were processes
// of their own.
type telemetry struct {
	providers map[string]*sdktrace.TracerProvider
	sent      *ledger
	patience  time.Duration // with the collector
}

// propagators carry the trace and the baggage from one service to the next.
var propagators = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

func newTelemetry(ctx context.Context, collector string) (*telemetry, error) {
	t := &telemetry{providers: make(map[string]*sdktrace.TracerProvider), sent: newLedger(), patience: flushTime}
	for _, service := range []string{customer, shop, orders, stock} {
		exporter, err := exporterTo(ctx, collector)
		if err != nil {
			t.close()
			return nil, err
		}
		res, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithFromEnv(),
			resource.WithAttributes(semconv.ServiceName(service))) // the last one wins
		if err != nil {
			t.close()
			return nil, err
		}
		t.providers[service] = sdktrace.NewTracerProvider(sdktrace.WithResource(res),
			sdktrace.WithBatcher(recorded{exporter, t.sent}, sdktrace.WithExportTimeout(flushTime)))
	}
	return t, nil
}

// localhost is where a collector is looked for when nobody says where: the
// exporter's own default would be there, too, but with TLS.
const localhost = "http://localhost:4318"

// exporterTo the collector, or to where the environment says.
func exporterTo(ctx context.Context, collector string) (sdktrace.SpanExporter, error) {
	said := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_TRACES_EXPORTER"))
	if collector == "" && said != "" {
		return autoexport.NewSpanExporter(ctx)
	}
	collector = cmp.Or(collector, localhost)
	u, err := url.Parse(collector)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("-otlp %s: must be a URL such as http://localhost:4318", collector)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	return otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()))
}

// of returns the kit's observer for a service.
func (t *telemetry) of(service string) *otel.Observer {
	return otel.New(otel.WithTracerProvider(t.providers[service]), otel.WithPropagators(propagators))
}

const noCollector = `nothing arrived: %w

If that is because no collector listens there, start a Jaeger and try again:
  docker compose -f examples/jaeger/compose.yaml up -d
  go -C examples run ./jaeger
With one elsewhere:
  go -C examples run ./jaeger -otlp http://host:4318 -ui http://host:16686`

var errNothingRecorded = errors.New("no span was exported; is OTEL_TRACES_SAMPLER or OTEL_TRACES_EXPORTER set?")

// flush sends what there is, and says what is wrong if the spans of a trace did
// not arrive.
func (t *telemetry) flush(ctx context.Context, id trace.TraceID) error {
	ctx, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	var failed error
	for _, p := range t.providers {
		failed = errors.Join(failed, p.ForceFlush(ctx))
	}
	n, err := t.sent.arrived(id)
	switch {
	case err != nil:
		return fmt.Errorf(noCollector, err)
	case failed != nil:
		return fmt.Errorf(noCollector, failed)
	case n == 0:
		return errNothingRecorded
	}
	return nil
}

func (t *telemetry) close() {
	ctx, cancel := context.WithTimeout(context.Background(), t.patience)
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range t.providers {
		wg.Go(func() { _ = p.Shutdown(ctx) }) // what matters has been flushed
	}
	wg.Wait()
}
