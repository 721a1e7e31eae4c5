package pool_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/pool"
)

func TestPoolIsMeasuredUntilItIsClosed(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	p, err := pool.New(&works{}, pool.Config{MaxSize: 3, MinIdle: -1},
		pool.WithKey("orders"), pool.WithTelemetry(otel.New(otel.WithMeterProvider(meters))))
	require.NoError(t, err)
	l := lease(t, p)

	require.Equal(t, map[string]int64{
		"magnetar.pool.connections orders active": 1, "magnetar.pool.connections orders idle": 0,
		"magnetar.pool.connections orders creating": 0, "magnetar.pool.max orders ": 3, "magnetar.pool.waiting orders ": 0,
	}, levels(t, reader))
	l.Release()
	require.Equal(t, int64(1), levels(t, reader)["magnetar.pool.connections orders idle"])

	require.NoError(t, p.Close(t.Context()))
	require.Empty(t, levels(t, reader))
}

// levels maps metric, pool and state to the connections or callers.
func levels(t *testing.T, reader sdkmetric.Reader) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &all))
	found := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || m.Name == "magnetar.decisions" {
				continue
			}
			for _, p := range sum.DataPoints {
				name, _ := p.Attributes.Value(attribute.Key("magnetar.pool.name"))
				state, _ := p.Attributes.Value(attribute.Key("magnetar.pool.state"))
				found[m.Name+" "+name.AsString()+" "+state.AsString()] = p.Value
			}
		}
	}
	return found
}
