package pool_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

func three(n *network) *names {
	n.serve(addrA, says("a"))
	n.serve(addrB, says("b"))
	n.serve(addrC, says("c"))
	return &names{list: []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}}
}

func TestRoundRobinSpreadsOverAllEndpoints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(three(n)), pool.WithBalancer(pool.RoundRobin()))
		require.Equal(t, map[string]int{"a": 10, "b": 10, "c": 10}, spread(t, pt, site, 30))
	})
}

func TestPowerOfTwoUsesAllAndPrefersTheFaster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		n.serve(addrC, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			io.WriteString(w, "c")
		})
		n.serve(addrA, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Millisecond)
			io.WriteString(w, "a")
		})
		n.serve(addrB, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Millisecond)
			io.WriteString(w, "b")
		})
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(names))
		got := spread(t, pt, site, 200)
		require.Greater(t, got["a"], 40)
		require.Greater(t, got["b"], 40)
		require.LessOrEqual(t, got["c"], 20, "a third would be 67")
	})
}

func TestARetryGoesElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(three(n)))
		for range 50 {
			ctx := policy.ContextWithAvoid(t.Context(), new(policy.Avoid))
			seen := map[string]bool{}
			for range 3 {
				_, body, err := get(ctx, pt, site)
				require.NoError(t, err)
				seen[body] = true
			}
			require.Len(t, seen, 3)
			_, _, err := get(ctx, pt, site)
			require.NoError(t, err, "once all were tried, any will do")
		}
	})
}

// body counts how often it is closed.
type body struct {
	io.Reader
	closed int
}

func (b *body) Close() error {
	b.closed++
	return nil
}

func TestEveryPathClosesTheRequestBody(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	failing := errors.New("no such proxy")
	base := n.base()
	base.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Host == "proxied.test" {
			return nil, failing
		}
		return nil, nil
	}
	pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(base), pool.WithResolver(pool.Static(nil)))
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	request := func(u string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x", http.NoBody)
		require.NoError(t, err)
		r.URL, err = url.Parse(u)
		require.NoError(t, err)
		return r
	}
	closed, err := pool.NewTransport(pool.TransportConfig{}, pool.WithTelemetry(nil))
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	noURL, noHeader := request("http://x"), request("http://x")
	noURL.URL, noHeader.Header = nil, nil
	cases := []struct {
		name string
		rt   http.RoundTripper
		req  *http.Request
		is   error
	}{
		{"no URL", pt, noURL, nil},
		{"no header", pt, noHeader, nil},
		{"scheme", pt, request("ftp://x"), nil},
		{"no host", pt, request("http:///x"), nil},
		{"proxy", pt, request("http://proxied.test"), failing},
		{"unknown host", pt, request("http://nowhere.test"), policy.ErrConnectionCreation},
		{"refused", pt, request("http://192.0.2.9"), nil},
		{"context over", pt, request("http://192.0.2.9").WithContext(canceled), context.Canceled},
		{"closed", closed, request("http://192.0.2.9"), policy.ErrClosed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := &body{Reader: strings.NewReader("x")}
			c.req.Body, c.req.ContentLength = b, 1
			resp, err := c.rt.RoundTrip(c.req)
			require.Error(t, err)
			require.Nil(t, resp)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			require.Positive(t, b.closed)
		})
	}
}

func TestErrorsNameTheTarget(t *testing.T) {
	t.Parallel()
	pt := newTransport(t, pool.TransportConfig{}, pool.WithResolver(pool.Static(nil)))
	_, _, err := get(t.Context(), pt, "https://Nowhere.test/path")
	var own *policy.Error
	require.ErrorAs(t, err, &own)
	require.Equal(t, "https://nowhere.test:443", own.Key)
	require.Equal(t, policy.ReasonNoEndpoint, own.Reason)
	require.ErrorContains(t, err, "no such host")
	require.Positive(t, own.RetryAfter)
	require.LessOrEqual(t, own.RetryAfter, time.Second)
}

func TestConfigurationIsReportedWhole(t *testing.T) {
	t.Parallel()
	_, err := pool.NewTransport(pool.TransportConfig{
		MaxInFlight: -1,
		MinRefresh:  time.Hour,
		Outlier:     &pool.OutlierConfig{MaxEjected: 2},
		Probe:       &pool.ProbeConfig{Timeout: time.Hour},
	}, pool.WithResolver(nil), pool.WithBalancer(nil), pool.WithBase(&http.Transport{
		DialTLSContext: new(network).dial,
	}))
	for _, fault := range []string{
		"max_in_flight: -1: must be ≥ 0",
		"min_refresh: 1h0m0s: must be ≤ refresh, 30s",
		"outlier.max_ejected: 2: must be between 0 and 1",
		"probe.path: is missing",
		"probe.timeout: 1h0m0s: must be ≤ interval, 10s",
		"base.DialTLSContext: must be nil",
		"resolver: is missing",
		"balancer: is missing",
	} {
		require.ErrorContains(t, err, fault)
	}
	_, err = pool.NewTransport(pool.TransportConfig{}, pool.WithBase(nil))
	require.ErrorContains(t, err, "base: is missing")
}

func TestDefaultTransportIsValid(t *testing.T) {
	t.Parallel()
	cfg := pool.DefaultTransport()
	require.NoError(t, cfg.Validate())
	require.NotNil(t, cfg.Outlier)
	require.Equal(t, 10*time.Second, cfg.SlowStart)
	require.NoError(t, pool.TransportConfig{}.Validate())
	require.NoError(t, pool.TransportConfig{Refresh: 100 * time.Millisecond}.Validate())
}

func TestDrainWaitsForWhatRunsAndRefusesTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			io.WriteString(w, "late")
		})
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()))
		began := time.Now()
		answered := make(chan string)
		go func() {
			_, body, _ := get(t.Context(), pt, "http://192.0.2.1")
			answered <- body
		}()
		synctest.Wait()
		drained := make(chan error)
		go func() { drained <- pt.Drain(t.Context()) }()
		synctest.Wait()
		_, _, err := get(t.Context(), pt, "http://192.0.2.1")
		require.ErrorIs(t, err, policy.ErrClosed)
		require.Equal(t, "late", <-answered)
		require.NoError(t, <-drained)
		require.Equal(t, time.Second, time.Since(began))
	})
}

func TestDrainCutsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()))
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://192.0.2.1", nil)
		resp, err := pt.RoundTrip(req) // whose body is never closed
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, pt.Drain(ctx), context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(began))
		_, err = io.ReadAll(resp.Body)
		require.Error(t, err)
	})
}

func TestCloseRefusesThoseWhoWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, slow(time.Hour))
		pt := newTransport(t, pool.TransportConfig{MaxInFlight: 1, AcquireTimeout: -1}, pool.WithBase(n.base()))
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				_, _, err := get(t.Context(), pt, "http://192.0.2.1")
				errs <- err
			}()
			synctest.Wait()
		}
		require.NoError(t, pt.Close())
		first, second := <-errs, <-errs
		require.Error(t, first)
		require.Error(t, second)
		require.True(t, errors.Is(first, policy.ErrClosed) || errors.Is(second, policy.ErrClosed))
		require.NoError(t, pt.Close(), "again")
	})
}

func TestTransportConfigRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	outlier := func(o pool.OutlierConfig) pool.TransportConfig { return pool.TransportConfig{Outlier: &o} }
	probe := func(p pool.ProbeConfig) pool.TransportConfig { return pool.TransportConfig{Probe: &p} }
	cases := []struct {
		fault string
		cfg   pool.TransportConfig
	}{
		{"lifetime_jitter: NaN: must be a finite number", pool.TransportConfig{LifetimeJitter: math.NaN()}},
		{"lifetime_jitter: 2: must be ≤ 1", pool.TransportConfig{LifetimeJitter: 2}},
		{"max_waiting: 1099511627776: must be ≤ 1073741823", pool.TransportConfig{MaxWaiting: 1 << 40}},
		{"max_targets: -1: must be ≥ 0", pool.TransportConfig{MaxTargets: -1}},
		{"target_idle: -1s: must be ≥ 0", pool.TransportConfig{TargetIdle: -time.Second}},
		{"resolve_timeout: -1s: must be ≥ 0", pool.TransportConfig{ResolveTimeout: -time.Second}},
		{"panic_threshold: +Inf: must be a finite number", pool.TransportConfig{PanicThreshold: math.Inf(1)}},
		{"slow_start: -1s: must be ≥ 0", pool.TransportConfig{SlowStart: -time.Second}},
		{"outlier.stdev_factor: NaN: must be a finite number", outlier(pool.OutlierConfig{StdevFactor: math.NaN()})},
		{"outlier.max_ejected: NaN: must be between 0 and 1", outlier(pool.OutlierConfig{MaxEjected: math.NaN()})},
		{"outlier.base_ejection: 1h0m0s: must be ≤ max_ejection, 1m0s", outlier(pool.OutlierConfig{BaseEjection: time.Hour, MaxEjection: time.Minute})},
		{"outlier.min_requests: -1: must be ≥ 0", outlier(pool.OutlierConfig{MinRequests: -1})},
		{`probe.path: "healthz": must begin with /`, probe(pool.ProbeConfig{Path: "healthz"})},
		{`probe.path: "/%zz": is no path of a URL`, probe(pool.ProbeConfig{Path: "/%zz"})},
		{"probe.healthy: -1: must be ≥ 0", probe(pool.ProbeConfig{Path: "/", Healthy: -1})},
	}
	for _, c := range cases {
		require.EqualError(t, c.cfg.Validate(), c.fault)
	}
	require.NoError(t, outlier(pool.OutlierConfig{BaseEjection: time.Hour}).Validate())
	require.NoError(t, outlier(pool.OutlierConfig{Consecutive: -1, StdevFactor: -1}).Validate())
	require.NoError(t, pool.TransportConfig{MaxLifetime: -1, LifetimeJitter: -1, Refresh: -1, PanicThreshold: -1, AcquireTimeout: -1}.Validate())
}
