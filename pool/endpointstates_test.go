package pool_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/pool"
)

func TestEndpointsAreMeasuredByStateUntilTheTransportCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		n.serve(addrC, sick("c"))
		reader := sdkmetric.NewManualReader()
		meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		pt := newTransport(t, pool.TransportConfig{Outlier: &pool.OutlierConfig{}, SlowStart: 10 * time.Second},
			pool.WithBase(n.base()), pool.WithResolver(names), pool.WithBalancer(pool.RoundRobin()),
			pool.WithTelemetry(otel.New(otel.WithMeterProvider(meters))))
		require.Empty(t, endpointStates(t, reader))

		spread(t, pt, site, 50)
		require.Equal(t, "api.test:80 ejected=1 healthy=2 slow_start=0", endpointStates(t, reader))
		n.serve(addrC, says("c"))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		require.Equal(t, "api.test:80 ejected=0 healthy=2 slow_start=1", endpointStates(t, reader))
		time.Sleep(10 * time.Second)
		require.Equal(t, "api.test:80 ejected=0 healthy=3 slow_start=0", endpointStates(t, reader))

		require.NoError(t, pt.Close())
		require.Empty(t, endpointStates(t, reader))
	})
}

// endpointStates reads the metric of the only server: its name, and its endpoints
// by state.
func endpointStates(t *testing.T, reader sdkmetric.Reader) string {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &all))
	server, states := "", []string{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != "magnetar.pool.endpoints" {
				continue
			}
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				address, _ := p.Attributes.Value("server.address")
				port, _ := p.Attributes.Value("server.port")
				state, _ := p.Attributes.Value("magnetar.pool.state")
				server = address.AsString() + ":" + port.String()
				states = append(states, fmt.Sprintf("%s=%d", state.AsString(), p.Value))
			}
		}
	}
	slices.Sort(states)
	return strings.TrimSpace(server + " " + strings.Join(states, " "))
}
