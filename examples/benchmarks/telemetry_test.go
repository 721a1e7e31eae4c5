package benchmarks

import (
	"context"
	"net/http"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/transport"
)

// What being seen costs: nothing installed; an SDK that samples nothing; one
// that keeps every span, handed over in batches, as people run it, or one by one,
// which no queue can drop; each with metrics too. Both sides have the same
// providers and propagators. The kit's chain is in its rows; otelhttp's hold
// nothing else.
func BenchmarkTelemetry(b *testing.B) { eachTelemetry(b, measure) }

func BenchmarkTelemetryParallel(b *testing.B) { eachTelemetry(b, measureParallel) }

func eachTelemetry(b *testing.B, measure func(*testing.B, func())) {
	b.Run("none", func(b *testing.B) {
		compare(b, measure,
			peer{"magnetar-without", magnetarWith(transport.WithTelemetry(nil))},
			peer{"magnetar", magnetar},
			peer{"otelhttp", func(base http.RoundTripper) http.RoundTripper { return otelhttp.NewTransport(base) }})
	})
	for _, s := range []struct {
		name   string
		traces func() sdktrace.TracerProviderOption
		meters metric.MeterProvider
	}{
		{"unsampled", never, noop.NewMeterProvider()},
		{"sampled", batch, noop.NewMeterProvider()},
		{"sampled-each", each, noop.NewMeterProvider()},
		{"unsampled+metrics", never, measured()},
		{"sampled+metrics", batch, measured()},
		{"sampled-each+metrics", each, measured()},
	} {
		b.Run(s.name, func(b *testing.B) {
			sdk := sdk{sdktrace.NewTracerProvider(s.traces()), s.meters}
			compare(b, measure,
				peer{"otelhttp", sdk.otelhttp},
				peer{"magnetar-consequential", sdk.magnetar(otel.Consequential)},
				peer{"magnetar-all", sdk.magnetar(otel.All)})
			if err := sdk.traces.Shutdown(context.Background()); err != nil {
				b.Error(err)
			}
		})
	}
}

func compare(b *testing.B, measure func(*testing.B, func()), peers ...peer) {
	for _, p := range peers {
		client := p.client(stub{http.StatusOK})
		b.Run(p.name, func(b *testing.B) { measure(b, get(b, client, target)) })
	}
}

func magnetarWith(opts ...transport.Option) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		return transport.New(base, transport.Default(), opts...)
	}
}

// sdk exports to nowhere, and sends on what people send on.
type sdk struct {
	traces *sdktrace.TracerProvider
	meters metric.MeterProvider
}

func never() sdktrace.TracerProviderOption { return sdktrace.WithSampler(sdktrace.NeverSample()) }

func batch() sdktrace.TracerProviderOption { return sdktrace.WithBatcher(tracetest.NewNoopExporter()) }

func each() sdktrace.TracerProviderOption { return sdktrace.WithSyncer(tracetest.NewNoopExporter()) }

var w3c = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// measured drops nothing, for there is a reader.
func measured() metric.MeterProvider {
	return sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
}

func (s sdk) magnetar(d otel.Detail) func(http.RoundTripper) http.RoundTripper {
	return magnetarWith(transport.WithTelemetry(otel.New(otel.WithTracerProvider(s.traces),
		otel.WithMeterProvider(s.meters), otel.WithPropagators(w3c), otel.WithDetail(d))))
}

func (s sdk) otelhttp(base http.RoundTripper) http.RoundTripper {
	return otelhttp.NewTransport(base, otelhttp.WithTracerProvider(s.traces),
		otelhttp.WithMeterProvider(s.meters), otelhttp.WithPropagators(w3c))
}
