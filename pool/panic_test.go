package pool_test

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

// unwound runs f on a goroutine of its own, whatever ends it.
func unwound(f func()) {
	var done sync.WaitGroup
	done.Go(func() {
		defer func() { _ = recover() }()
		f()
	})
	done.Wait()
}

func inFlight(pt *pool.Transport) (n int) {
	s := pt.Snapshot()
	for _, tgt := range s.Targets {
		for _, e := range tgt.Endpoints {
			n += e.InFlight + e.Waiting
		}
	}
	return n + s.Unmanaged.InFlight
}

func TestWhatTheCallersOwnHooksDoIsNoFailureOfTheEndpoint(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){"panics": func() { panic("hook") }, "ends its goroutine": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				pt := newTransport(t, pool.TransportConfig{MaxInFlight: 1, Outlier: &pool.OutlierConfig{}},
					pool.WithBase(n.base()), pool.WithResolver(three(n)))
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { end() }})
				for range 60 {
					unwound(func() { _, _, _ = get(ctx, pt, site) })
				}
				require.Zero(t, ejections(pt))
				require.Zero(t, inFlight(pt))
				require.NotContains(t, spread(t, pt, site, 9), "error", "every place was given back")
			})
		})
	}
}

func TestAnObserverThatPanicsCostsNoPlace(t *testing.T) {
	t.Parallel()
	for _, on := range []policy.Action{policy.ActionAcquire, policy.ActionWait, policy.ActionRefuse, policy.ActionBypass, policy.ActionEject} {
		t.Run(string(on), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				n.serve(addrA, func(w http.ResponseWriter, _ *http.Request) {
					time.Sleep(time.Second)
					w.WriteHeader(http.StatusInternalServerError)
				})
				n.serve(addrB, slow(time.Second))
				var calm atomic.Bool
				panicky := policy.ObserverFunc(func(_ context.Context, d policy.Decision) {
					if d.Action == on && !calm.Load() {
						panic(on)
					}
				})
				pt := newTransport(t, pool.TransportConfig{MaxInFlight: 1, MaxWaiting: 1, MaxTargets: 1, Outlier: &pool.OutlierConfig{}},
					pool.WithBase(n.base()), pool.WithResolver(&names{list: []string{"192.0.2.1", "192.0.2.2"}}),
					pool.WithBalancer(pool.RoundRobin()), pool.WithObserver(panicky))
				var all sync.WaitGroup
				for range 20 {
					all.Go(func() { unwound(func() { _, _, _ = get(t.Context(), pt, site) }) })
				}
				synctest.Wait()
				unwound(func() { _, _, _ = get(t.Context(), pt, "http://192.0.2.2") }) // one target too many
				all.Wait()
				require.Zero(t, inFlight(pt))
				calm.Store(true)
				require.NotContains(t, spread(t, pt, site, 6), "error")
			})
		})
	}
}

func TestAnEjectionEndsThoughItsObserverPanicked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		n.serve(addrC, sick("c"))
		panicky := policy.ObserverFunc(func(_ context.Context, d policy.Decision) {
			if d.Action == policy.ActionEject {
				panic("observer")
			}
		})
		pt := newTransport(t, pool.TransportConfig{TargetIdle: time.Hour, Outlier: &pool.OutlierConfig{StdevFactor: -1}}, pool.WithBase(n.base()),
			pool.WithResolver(names), pool.WithBalancer(pool.RoundRobin()), pool.WithObserver(panicky))
		for range 15 {
			unwound(func() { _, _, _ = get(t.Context(), pt, site) })
		}
		require.Equal(t, pool.EndpointEjected, statesOf(pt)[addrC])
		time.Sleep(31 * time.Second)
		require.Equal(t, pool.EndpointHealthy, statesOf(pt)[addrC])
	})
}

func TestWhatThePoolCutsIsNoFailureOfTheEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		for _, a := range []string{addrA, addrB, addrC} {
			n.serve(a, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/stream" {
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
			})
		}
		pt := newTransport(t, pool.TransportConfig{DrainTimeout: time.Second, Outlier: &pool.OutlierConfig{}},
			pool.WithBase(n.base()), pool.WithResolver(names), pool.WithBalancer(pool.RoundRobin()))
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() {
				_, _, err := get(t.Context(), pt, site+[]string{"stream", "poll"}[i%2])
				require.Error(t, err)
			})
		}
		synctest.Wait()
		began := time.Now()
		pt.Rotate("new certificates")
		all.Wait()
		require.Equal(t, time.Second, time.Since(began))
		require.Zero(t, ejections(pt))
	})
}
