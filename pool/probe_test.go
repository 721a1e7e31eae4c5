package pool_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

func TestProbesEjectAndReturn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		var down atomic.Bool
		var asked, wrongHost atomic.Int64
		n.serve(addrC, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/healthz" {
				says("c")(w, r)
				return
			}
			asked.Add(1)
			if r.Host != "api.test" {
				wrongHost.Add(1)
			}
			if down.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{TargetIdle: time.Hour, Probe: &pool.ProbeConfig{Path: "/healthz"}},
			pool.WithBase(n.base()), pool.WithResolver(names), pool.WithBalancer(pool.RoundRobin()), pool.WithObserver(&seen))
		require.Len(t, spread(t, pt, site, 3), 3)
		time.Sleep(time.Minute)
		require.Positive(t, asked.Load())
		require.Zero(t, ejections(pt))

		down.Store(true)
		time.Sleep(time.Minute)
		require.Equal(t, pool.EndpointEjected, statesOf(pt)[addrC])
		require.Equal(t, map[string]int{"a": 5, "b": 5}, spread(t, pt, site, 10))
		require.Equal(t, 1, seen.count(policy.ActionEject, policy.ReasonProbeFailed))

		down.Store(false)
		time.Sleep(30 * time.Second)
		require.Equal(t, pool.EndpointHealthy, statesOf(pt)[addrC])
		require.Equal(t, 1, seen.count(policy.ActionReturn, policy.ReasonProbeSucceeded))
		require.Zero(t, wrongHost.Load())
	})
}

func TestProbesAreBoundByTheCapAndByTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		for _, a := range []string{addrA, addrB, addrC} {
			n.serve(a, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/healthz" {
					<-r.Context().Done() // hangs
				}
			})
		}
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{TargetIdle: time.Hour, Probe: &pool.ProbeConfig{Path: "/healthz"}},
			pool.WithBase(n.base()), pool.WithResolver(names), pool.WithObserver(&seen))
		spread(t, pt, site, 3)
		time.Sleep(10 * time.Minute)
		require.Equal(t, 1, ejections(pt))
		failed := seen.of(policy.ActionProbe, policy.ReasonProbeFailed)
		require.Len(t, failed, 3*3, "then nothing is new")
		for _, d := range failed {
			require.Equal(t, 2*time.Second, d.Took)
		}
	})
}

func TestWhatWasEjectedForItsFailuresStaysOutWhileItsProbesFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		var well atomic.Bool
		n.serve(addrC, func(w http.ResponseWriter, _ *http.Request) {
			if !well.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		pt := newTransport(t, pool.TransportConfig{TargetIdle: time.Hour, Outlier: &pool.OutlierConfig{}, Probe: &pool.ProbeConfig{Path: "/healthz"}},
			pool.WithBase(n.base()), pool.WithResolver(names), pool.WithBalancer(pool.RoundRobin()))
		spread(t, pt, site, 30)
		require.Equal(t, pool.EndpointEjected, statesOf(pt)[addrC])
		time.Sleep(10 * time.Minute)
		require.Equal(t, pool.EndpointEjected, statesOf(pt)[addrC])
		well.Store(true)
		time.Sleep(30 * time.Second)
		require.Equal(t, pool.EndpointHealthy, statesOf(pt)[addrC])
		require.Equal(t, 1, ejections(pt))
	})
}

func TestAProbeOfAnEndpointThatLeftTellsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		var hangs atomic.Bool
		n.serve(addrC, func(_ http.ResponseWriter, r *http.Request) {
			if hangs.Load() && r.URL.Path == "/healthz" {
				<-r.Context().Done()
			}
		})
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{Refresh: 10 * time.Second, Probe: &pool.ProbeConfig{Path: "/healthz", Timeout: 9 * time.Second}},
			pool.WithBase(n.base()), pool.WithResolver(names), pool.WithObserver(&seen))
		spread(t, pt, site, 3)
		time.Sleep(5 * time.Second)
		hangs.Store(true)
		time.Sleep(6 * time.Second) // its second probe is under way
		names.set(nil, "192.0.2.1", "192.0.2.2")
		spread(t, pt, site, 1)
		synctest.Wait()
		require.NotContains(t, statesOf(pt), addrC)
		time.Sleep(20 * time.Second)
		require.Zero(t, seen.count(policy.ActionProbe, policy.ReasonProbeFailed))
		require.Positive(t, seen.count(policy.ActionProbe, policy.ReasonProbeSucceeded))
	})
}
