//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
)

const howToBuild = `From an empty directory:
  dir=$(go mod download -json github.com/jaegertracing/jaeger@v1.76.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  (cd "$dir" && go build -trimpath -ldflags '-s -w' -o "$OLDPWD/jaeger" ./cmd/jaeger)
  export JAEGER_BIN=$PWD/jaeger`

// configuration is Jaeger's own, on loopback alone and in memory: ports of its
// queries by HTTP and gRPC, and of OTLP.
const configuration = `
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [jaeger_storage_exporter]}}
  telemetry: {metrics: {level: none}, logs: {level: warn}}
extensions:
  jaeger_query: {storage: {traces: mem}, http: {endpoint: "127.0.0.1:%d"}, grpc: {endpoint: "127.0.0.1:%d"}}
  jaeger_storage: {backends: {mem: {memory: {max_traces: 10000}}}}
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:%d"}}}}
processors: {batch: {timeout: 50ms}}
exporters: {jaeger_storage_exporter: {trace_storage: mem}}
`

// jaeger is a real one.
type jaeger struct {
	otlp  string // where spans go
	query string // where they are found
}

// startJaeger returns when it takes spans: its receivers start last. It would
// trace itself if it were let.
func startJaeger(t *testing.T) jaeger {
	t.Helper()
	d := daemon.New(t, daemon.Program{
		Name: "jaeger", Variable: "JAEGER_BIN", Build: howToBuild, Env: []string{"OTEL_TRACES_SAMPLER=always_off"},
	})
	query, grpc := daemon.FreePort(t), daemon.FreePort(t)
	d.Start("--config", d.File("jaeger.yaml", fmt.Sprintf(configuration, query, grpc, d.Port)))
	return jaeger{otlp: "http://" + d.Address(), query: fmt.Sprintf("http://127.0.0.1:%d", query)}
}

// api is one of the ways in which Jaeger returns traces.
type api struct {
	name  string
	trace func(j jaeger, t *testing.T, id string, query url.Values) spans
	raw   url.Values    // leaves a trace as it came
	exact time.Duration // by how much its times may be off
}

var apis = []api{
	{"api v3", jaeger.traceV3, url.Values{"raw_traces": {"true"}}, 0},
	{"api", jaeger.traceV1, url.Values{"raw": {"true"}}, time.Microsecond},
}

// await polls until so many spans of a trace are there, and returns them as they
// are shown. While some are missing it asks for them raw: else Jaeger keeps
// with the others the warning that their parents are not there.
func (a api) await(t *testing.T, j jaeger, id trace.TraceID, n int) spans {
	t.Helper()
	require.Eventuallyf(t, func() bool {
		return len(a.trace(j, t, id.String(), a.raw)) >= n
	}, 20*time.Second, 20*time.Millisecond, "trace %v by %s", id, a.name)
	found := a.trace(j, t, id.String(), nil)
	require.Len(t, found, n)
	return found
}

// get returns false where nothing is found.
func (j jaeger) get(t *testing.T, path string, query url.Values, into any) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.query+path+"?"+query.Encode(), nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return false
	}
	require.Equal(t, http.StatusOK, resp.StatusCode, path)
	require.NoError(t, json.NewDecoder(resp.Body).Decode(into))
	return true
}
