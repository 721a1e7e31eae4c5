package main

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/magnetar-go/magnetar/examples/internal/waterfall"
	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/transport"
)

var redraw = flag.Bool("redraw", false, "write the pictures instead of comparing them")

func TestPictureIsOfWhatTheKitDoes(t *testing.T) {
	spans := retriedCall(t)
	for name, theme := range map[string]waterfall.Theme{"trace-light.svg": waterfall.Light, "trace-dark.svg": waterfall.Dark} {
		drawn := waterfall.Draw("A call that was retried", spans, theme)
		if *redraw {
			require.NoError(t, os.WriteFile(name, []byte(drawn), 0o600))
		}
		committed, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, string(committed), drawn, "if that is as it should be: go -C examples generate ./jaeger")
	}
}

// retriedCall has the kit's default chain call a service that is overloaded at
// first, and returns the spans of both. It all happens in virtual time, and the
// wait between the tries is what the service asks for.
func retriedCall(t *testing.T) []sdktrace.ReadOnlySpan {
	t.Helper()
	var spans []sdktrace.ReadOnlySpan
	synctest.Test(t, func(t *testing.T) {
		recorder := tracetest.NewSpanRecorder()
		of := func(service string) *sdktrace.TracerProvider {
			return sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder),
				sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName(service))))
		}
		cfg := transport.Default()
		cfg.Retry.InitialBackoff = 1 // from which a jitter of zero is drawn
		client := &http.Client{Transport: transport.New(inProcess{overloadedAtFirst(of(stock))}, cfg,
			transport.WithTelemetry(otel.New(otel.WithTracerProvider(of(orders)), otel.WithPropagators(propagators))))}
		resp, err := client.Get("http://stock.test/items/1")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		spans = recorder.Ended()
	})
	return spans
}

func overloadedAtFirst(tracing *sdktrace.TracerProvider) http.Handler {
	asked := 0
	r := chi.NewRouter()
	r.Group(func(r chi.Router) {
		r.Use(otelhttp.NewMiddleware(stock, otelhttp.WithTracerProvider(tracing), otelhttp.WithPropagators(propagators)))
		r.Get("/items/{id}", func(w http.ResponseWriter, _ *http.Request) {
			asked++
			if asked == 1 {
				time.Sleep(320 * time.Millisecond)
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			time.Sleep(280 * time.Millisecond)
		})
	})
	return r
}

// inProcess is a RoundTripper over a handler: no sockets, so virtual time can
// pass.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	in := httptest.NewRequest(req.Method, req.URL.String(), req.Body)
	in.Header = req.Header
	p.handler.ServeHTTP(w, in)
	return w.Result(), nil
}
