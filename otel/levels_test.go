package otel_test

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/magnetar-go/magnetar/otel"
)

func TestPoolsAreMeasuredUntilTheyStop(t *testing.T) {
	r := record(t)
	level := otel.PoolLevel{Idle: 2, Active: 3, Creating: 1, Max: 10, Waiting: 4}
	stop := r.WatchPool("orders", func() otel.PoolLevel { return level })
	alike := r.WatchPool("orders", func() otel.PoolLevel { return otel.PoolLevel{Active: 1, Max: 5} })

	name := attribute.String("magnetar.pool.name", "orders")
	in := func(state string) attribute.Distinct {
		return set(name, attribute.String("magnetar.pool.state", state))
	}
	connections := r.sums("magnetar.pool.connections")
	require.Equal(t, int64(2), connections[in("idle")])
	require.Equal(t, int64(4), connections[in("active")], "of both pools")
	require.Equal(t, int64(1), connections[in("creating")])
	require.Equal(t, int64(15), r.sums("magnetar.pool.max")[set(name)])
	require.Equal(t, int64(4), r.sums("magnetar.pool.waiting")[set(name)])

	alike()
	level.Active = 7
	require.Equal(t, int64(7), r.sums("magnetar.pool.connections")[in("active")])
	stop()
	require.Empty(t, r.sums("magnetar.pool.connections"))
}

func TestOpenConnectionsAreToldByServer(t *testing.T) {
	r := record(t)
	servers := []otel.OpenConnections{{Address: "a.example", Port: 443, Active: 2, Idle: 1}, {Address: "b.example", Port: 80}}
	stop := r.WatchOpenConnections(func() iter.Seq[otel.OpenConnections] { return slices.Values(servers) })
	defer stop()

	of := func(address string, port int, state attribute.KeyValue) int64 {
		n, told := r.sums("http.client.open_connections")[set(semconv.ServerAddress(address), semconv.ServerPort(port), state)]
		require.True(t, told)
		return n
	}
	require.Equal(t, int64(2), of("a.example", 443, semconv.HTTPConnectionStateActive))
	require.Equal(t, int64(1), of("a.example", 443, semconv.HTTPConnectionStateIdle))
	require.Zero(t, of("b.example", 80, semconv.HTTPConnectionStateActive))

	for i := range 1000 {
		servers = append(servers, otel.OpenConnections{Address: fmt.Sprint(i), Port: 1, Idle: 1})
	}
	require.Len(t, r.sums("http.client.open_connections"), 2*501)
	require.Equal(t, int64(502), of("_OTHER", 0, semconv.HTTPConnectionStateIdle))
}

func TestEndpointsAreToldByServer(t *testing.T) {
	r := record(t)
	servers := []otel.Endpoints{{Address: "a.example", Port: 443, Healthy: 3, Starting: 1, Ejected: 2}, {Address: "b.example", Port: 80}}
	stop := r.WatchEndpoints(func() iter.Seq[otel.Endpoints] { return slices.Values(servers) })

	of := func(address string, port int, state string) int64 {
		n, told := r.sums("magnetar.pool.endpoints")[set(semconv.ServerAddress(address), semconv.ServerPort(port), attribute.String("magnetar.pool.state", state))]
		require.True(t, told)
		return n
	}
	require.Equal(t, int64(3), of("a.example", 443, "healthy"))
	require.Equal(t, int64(1), of("a.example", 443, "slow_start"))
	require.Equal(t, int64(2), of("a.example", 443, "ejected"))
	require.Zero(t, of("b.example", 80, "ejected"), "so that it is known to be none")

	for i := range 1000 {
		servers = append(servers, otel.Endpoints{Address: fmt.Sprint(i), Port: 1, Healthy: 1, Starting: 2, Ejected: 3})
	}
	require.Len(t, r.sums("magnetar.pool.endpoints"), 3*501)
	require.Equal(t, int64(502), of("_OTHER", 0, "healthy"))
	require.Equal(t, int64(2*502), of("_OTHER", 0, "slow_start"))
	require.Equal(t, int64(3*502), of("_OTHER", 0, "ejected"))
	stop()
	require.Empty(t, r.sums("magnetar.pool.endpoints"))
}

func TestNobodyMeasuresLevels(t *testing.T) {
	var o *otel.Observer
	require.NotPanics(t, func() {
		o.WatchPool("", nil)()
		o.WatchOpenConnections(nil)()
		o.WatchEndpoints(nil)()
	})
}
