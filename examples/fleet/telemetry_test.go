//go:build linux

package main

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// Inbound trap 18: whoever looks at metrics sees that Redis is away.
func TestDegradedModeIsAMetric(t *testing.T) {
	d := startServer(t)
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer provider.Shutdown(t.Context())
	watched := redislimit.WithObserver(otel.New(otel.WithMeterProvider(provider)))
	s := newStore(t, clientOf(t, d.Address()), redislimit.Config{Timeout: 200 * time.Millisecond, OnFailure: redislimit.Local, Replicas: 4}, watched)
	eventually(t, s)
	require.Zero(t, sumOf(t, reader, "magnetar.breaker.open", ""))
	bypassed := sumOf(t, reader, "magnetar.decisions", policy.ReasonStore)
	d.Signal(syscall.SIGSTOP)
	for range 10 {
		take(t, s, 1, limitOf(100, day))
	}
	// The breaker's transitions are told by a goroutine of their own.
	require.Eventually(t, func() bool { return sumOf(t, reader, "magnetar.breaker.open", "") == 1 }, patience, time.Millisecond)
	require.EqualValues(t, 10, sumOf(t, reader, "magnetar.decisions", policy.ReasonStore)-bypassed)
	d.Signal(syscall.SIGCONT)
	eventually(t, s)
	require.Eventually(t, func() bool { return sumOf(t, reader, "magnetar.breaker.open", "") == 0 }, patience, time.Millisecond)
}

// sumOf is a counter, of the decisions for a reason if there is one.
func sumOf(t *testing.T, reader *sdkmetric.ManualReader, name string, reason policy.Reason) (n int64) {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				if v, ok := p.Attributes.Value("magnetar.reason"); reason == "" || ok && v.AsString() == string(reason) {
					n += p.Value
				}
			}
		}
	}
	return n
}
