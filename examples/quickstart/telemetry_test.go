package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

func TestSpansReachTheCollectorThatTheEnvironmentNames(t *testing.T) {
	exports := make(chan *collector.ExportTraceServiceRequest, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		var req collector.ExportTraceServiceRequest
		if err == nil && r.URL.Path == "/v1/traces" && proto.Unmarshal(raw, &req) == nil {
			exports <- &req
		}
	}))
	defer srv.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL)
	t.Setenv("OTEL_SERVICE_NAME", "named-outside")

	var warnings strings.Builder
	tel := newTelemetry(t.Context(), newRecorder(), &warnings)
	_, span := tel.provider.Tracer("test").Start(t.Context(), "call GET")
	span.End()
	tel.close()

	require.Empty(t, warnings.String())
	require.Contains(t, (<-exports).GetResourceSpans()[0].GetResource().String(), "named-outside")
	require.Contains(t, tel.hint(), "service   named-outside")
}

func TestCollectorThatIsDownCostsOneWarning(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close() // its port refuses now
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL)

	var warnings strings.Builder
	tel := newTelemetry(t.Context(), newRecorder(), &warnings)
	_, span := tel.provider.Tracer("test").Start(t.Context(), "call GET")
	span.End()
	tel.close()
	tel.close()
	require.Empty(t, tel.hint(), "there is nothing to find")
	require.Equal(t, 1, strings.Count(warnings.String(), "warning:"))
}

func TestExporterThatIsUnknownCostsOneWarning(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "pigeon")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "no-value")
	var warnings strings.Builder
	tel := newTelemetry(t.Context(), newRecorder(), &warnings)
	defer tel.close()
	require.False(t, tel.exports)
	require.Equal(t, 1, strings.Count(warnings.String(), "warning:"))
}
