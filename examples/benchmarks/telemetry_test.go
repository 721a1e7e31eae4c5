package benchmarks

import (
	"net/http"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/transport"
)

// What being seen costs: no SDK, an SDK that samples nothing, and one that
// keeps every span and exports it to nowhere. The kit's chain is in its rows;
// otelhttp's hold nothing else.
func BenchmarkTelemetry(b *testing.B) {
	unsampled := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	sampled := sdktrace.NewTracerProvider(sdktrace.WithSyncer(tracetest.NewNoopExporter()))
	for _, p := range []peer{
		{"magnetar-none", magnetar},
		{"magnetar-sdk-unsampled", magnetarSeenBy(unsampled)},
		{"magnetar-sdk-sampled", magnetarSeenBy(sampled)},
		{"otelhttp-none", func(base http.RoundTripper) http.RoundTripper { return otelhttp.NewTransport(base) }},
		{"otelhttp-sdk-unsampled", otelhttpSeenBy(unsampled)},
		{"otelhttp-sdk-sampled", otelhttpSeenBy(sampled)},
	} {
		client := p.client(stub{http.StatusOK})
		b.Run(p.name, func(b *testing.B) { measure(b, get(b, client, target)) })
	}
}

func magnetarSeenBy(tp trace.TracerProvider) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		return transport.New(base, transport.Default(), transport.WithTelemetry(otel.New(otel.WithTracerProvider(tp))))
	}
}

func otelhttpSeenBy(tp trace.TracerProvider) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(base, otelhttp.WithTracerProvider(tp))
	}
}
