package transport_test

import (
	"net/http"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

func host(t testing.TB, i int) *http.Request {
	return request(t, http.MethodGet, "http://h"+strconv.Itoa(i)+".test/", nil)
}

var emptyOK = roundTrip(func(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, nil
})

// Trap 29: a million hosts take no more memory than the bound on keys allows.
func TestTrap29MemoryOfAMillionHostsIsBounded(t *testing.T) {
	hosts := 1_000_000
	if testing.Short() || raceEnabled {
		hosts = 50_000
	}
	cfg := transport.Default()
	cfg.MaxKeys = 2000
	tr := transport.New(emptyOK, cfg)
	before := heap()
	req := get(t)
	for i := range hosts {
		req.URL.Host = strconv.Itoa(i) + ".test"
		if _, err := tr.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
	}
	require.Less(t, heap()-before, int64(cfg.MaxKeys*4<<10))
	n := 0
	for range tr.States() {
		n++
	}
	require.LessOrEqual(t, n, cfg.MaxKeys)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// full is a transport with a bound of ten keys, all of them taken by breakers
// that are open and in use.
func full(t *testing.T, opts ...transport.Option) *transport.Transport {
	t.Helper()
	tr := transport.New(newPeer(status(http.StatusBadGateway)), transport.Config{
		Breaker:     &policy.CircuitBreakerConfig{FailureThreshold: 1, Cooldown: time.Minute},
		Concurrency: &policy.ConcurrencyConfig{Limit: 1},
		MaxKeys:     10,
	}, opts...)
	for i := range 10 {
		resp, err := tr.RoundTrip(host(t, i))
		require.NoError(t, err)
		content(t, resp)
	}
	return tr
}

// Trap 29: an open breaker that is in use does not leave for new keys.
func TestTrap29OpenBreakersInUseStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := full(t)
		for i := range 1000 {
			resp, err := tr.RoundTrip(host(t, 1000+i))
			require.NoError(t, err)
			content(t, resp)
		}
		for i := range 10 {
			_, err := tr.RoundTrip(host(t, i))
			require.ErrorIs(t, err, policy.ErrCircuitOpen)
		}
	})
}

// Trap 29: an open breaker that nobody has asked for twice its cooldown leaves.
func TestTrap29OpenBreakersOutOfUseLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := full(t)
		time.Sleep(2*time.Minute + time.Second)
		resp, err := tr.RoundTrip(host(t, 99))
		require.NoError(t, err)
		content(t, resp)
		_, ok := tr.Breaker("http://h99.test:80")
		require.True(t, ok)
	})
}

// Trap 29: keys over the bound have no breaker, and a decision says so; their
// limits are shared.
func TestTrap29KeysOverTheBoundRunWithoutBreakerOnSharedLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := new(decisions)
		tr := full(t, transport.WithObserver(seen))
		for range 5 {
			resp, err := tr.RoundTrip(host(t, 99))
			require.NoError(t, err, "no breaker refuses it")
			content(t, resp)
		}
		bypassed := seen.reasons(policy.PolicyGuard, policy.ActionBypass)
		require.Len(t, bypassed, 5)
		require.Equal(t, policy.ReasonTooManyKeys, bypassed[0])

		held := 0
		for i := range 2000 { // each keeps its response, and with it a place
			if _, err := tr.RoundTrip(host(t, 1000+i)); err == nil {
				held++
			} else {
				require.ErrorIs(t, err, policy.ErrSaturated)
			}
		}
		require.LessOrEqual(t, held, 256)
		require.Greater(t, held, 200, "hosts spread over the shared limits")
	})
}

// Trap 29: however many hosts there are, the metrics have few series.
func TestTrap29MetricCardinalityIsBounded(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	tr := transport.New(newPeer(status(http.StatusNotFound)), transport.Default(),
		transport.WithTelemetry(otel.New(otel.WithMeterProvider(provider))))
	for i := range 5000 {
		resp, err := tr.RoundTrip(host(t, i))
		require.NoError(t, err)
		content(t, resp)
	}
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			require.LessOrEqual(t, series(m.Data), 2001, m.Name)
		}
	}
}

func series(data metricdata.Aggregation) int {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		return len(d.DataPoints)
	case metricdata.Gauge[int64]:
		return len(d.DataPoints)
	case metricdata.Histogram[float64]:
		return len(d.DataPoints)
	}
	return 0
}

// Trap 36: of twenty thousand hosts a tenth are dead; no other is refused for
// their sake.
func TestTrap36CrawlerNeverRefusesHealthyHostsForDeadOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := 20_000
		if raceEnabled {
			hosts = 4000
		}
		cfg := transport.Default()
		cfg.MaxKeys = hosts / 2
		dead := func(i int) bool { return i%10 == 0 }
		tr := transport.New(roundTrip(func(req *http.Request) (*http.Response, error) {
			i, _ := strconv.Atoi(req.URL.Hostname()[1 : len(req.URL.Hostname())-len(".test")])
			if dead(i) {
				return nil, dialError()
			}
			return emptyOK(req)
		}), cfg)
		failed := 0
		for range 3 {
			for i := range hosts {
				resp, err := tr.RoundTrip(host(t, i))
				if dead(i) {
					require.Error(t, err)
					failed++
					continue
				}
				require.NoError(t, err, "host %d", i)
				_ = resp.Body.Close()
			}
		}
		require.Equal(t, 3*hosts/10, failed)
	})
}
