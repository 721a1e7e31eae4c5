package pool_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/pool"
)

// openConnections reads the metric: by server, state and port.
func openConnections(t *testing.T, reader sdkmetric.Reader) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &all))
	found := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != "http.client.open_connections" {
				continue
			}
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				address, _ := p.Attributes.Value("server.address")
				port, _ := p.Attributes.Value("server.port")
				state, _ := p.Attributes.Value("http.connection.state")
				found[address.AsString()+":"+port.String()+" "+state.AsString()] = p.Value
			}
		}
	}
	return found
}

func TestOpenConnectionsAreMeasuredUntilTheTransportCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				w.(http.Flusher).Flush()
				time.Sleep(time.Minute)
			}
		})
		n.serve("192.0.2.9:8080", slow(time.Hour))
		reader := sdkmetric.NewManualReader()
		meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		pt := newTransport(t, pool.TransportConfig{MaxTargets: 1}, pool.WithBase(n.base()),
			pool.WithResolver(&names{list: []string{"192.0.2.1"}}), pool.WithTelemetry(otel.New(otel.WithMeterProvider(meters))))
		require.Empty(t, openConnections(t, reader))

		require.NoError(t, pt.Prewarm(t.Context(), site, 3))
		synctest.Wait()
		require.Equal(t, map[string]int64{"api.test:80 active": 0, "api.test:80 idle": 3}, openConnections(t, reader))

		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, site+"slow", nil)
		resp, err := pt.RoundTrip(req)
		require.NoError(t, err)
		require.Equal(t, map[string]int64{"api.test:80 active": 1, "api.test:80 idle": 2}, openConnections(t, reader))
		require.Equal(t, 1, carrying(pt))

		go get(t.Context(), pt, "http://192.0.2.9:8080") // one target too many
		synctest.Wait()
		require.Equal(t, map[string]int64{
			"api.test:80 active": 1, "api.test:80 idle": 2, "_OTHER:0 active": 1, "_OTHER:0 idle": 0,
		}, openConnections(t, reader))

		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		synctest.Wait()
		require.EqualValues(t, 0, openConnections(t, reader)["api.test:80 active"])

		require.NoError(t, pt.Close())
		require.Empty(t, openConnections(t, reader))
	})
}

func carrying(pt *pool.Transport) (n int) {
	for _, c := range pt.Snapshot().Targets[0].Endpoints[0].Conns {
		n += c.InFlight
	}
	return n
}

func TestAClosedTransportIsHeldByNoMeter(t *testing.T) {
	t.Parallel()
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	closed := func() weak.Pointer[pool.Transport] {
		pt, err := pool.NewTransport(pool.TransportConfig{}, pool.WithTelemetry(otel.New(otel.WithMeterProvider(meters))))
		require.NoError(t, err)
		require.NoError(t, pt.Close())
		return weak.Make(pt)
	}()
	for range 10 {
		runtime.GC()
	}
	require.Nil(t, closed.Value())
	runtime.KeepAlive(meters)
}
