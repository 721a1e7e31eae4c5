package pool_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

func statesOf(pt *pool.Transport) map[string]pool.EndpointState {
	states := map[string]pool.EndpointState{}
	for _, tgt := range pt.Snapshot().Targets {
		for _, e := range tgt.Endpoints {
			states[e.Address] = e.State
		}
	}
	return states
}

func ejections(pt *pool.Transport) (n int) {
	for _, tgt := range pt.Snapshot().Targets {
		for _, e := range tgt.Endpoints {
			n += e.Ejections
		}
	}
	return n
}

// Pool trap 22.
func TestPoolTrap22TheCallersOwnCancelNeverCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		for _, a := range []string{addrA, addrB, addrC} {
			n.serve(a, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}
		pt := newTransport(t, pool.TransportConfig{Outlier: &pool.OutlierConfig{}}, pool.WithBase(n.base()), pool.WithResolver(names))
		var all sync.WaitGroup
		var failed atomic.Int64
		for i := range 1000 {
			all.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Duration(i%300)*time.Millisecond, cancel)
				if i%2 == 0 { // a deadline that left no time is no better
					ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
					defer cancel()
				}
				if _, _, err := get(ctx, pt, site); err != nil {
					failed.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1000, failed.Load())
		require.Zero(t, ejections(pt))
	})
}

func TestATimeoutOfTheKitCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		n.serve(addrC, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		pt := newTransport(t, pool.TransportConfig{Outlier: &pool.OutlierConfig{}}, pool.WithBase(n.base()),
			pool.WithResolver(names), pool.WithBalancer(pool.RoundRobin()))
		timeout := &policy.Error{Reason: policy.ReasonAttemptTimeout, Policy: policy.PolicyTimeout}
		for range 30 {
			ctx, cancel := context.WithCancelCause(t.Context())
			stop := time.AfterFunc(10*time.Millisecond, func() { cancel(timeout) })
			_, _, _ = get(ctx, pt, site)
			stop.Stop()
		}
		require.Equal(t, pool.EndpointEjected, statesOf(pt)[addrC])
		require.Equal(t, 1, ejections(pt))
	})
}

func TestADeadlineLongAfterTheUsualTimeCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		n.serve(addrC, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		pt := newTransport(t, pool.TransportConfig{Outlier: &pool.OutlierConfig{}}, pool.WithBase(n.base()),
			pool.WithResolver(names), pool.WithBalancer(pool.RoundRobin()))
		for range 30 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, _, _ = get(ctx, pt, site)
			cancel()
		}
		require.Equal(t, pool.EndpointEjected, statesOf(pt)[addrC])
	})
}

func TestAClientsTimeoutCountsOnlyWhenItIsLong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		timeout time.Duration
		ejected bool
	}{{50 * time.Millisecond, false}, {time.Second, true}} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			names := three(n)
			n.serve(addrC, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			pt := newTransport(t, pool.TransportConfig{Outlier: &pool.OutlierConfig{}}, pool.WithBase(n.base()),
				pool.WithResolver(names), pool.WithBalancer(pool.RoundRobin()))
			client := &http.Client{Transport: pt, Timeout: c.timeout}
			for range 30 {
				if resp, err := client.Get(site); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
			require.Equal(t, c.ejected, statesOf(pt)[addrC] == pool.EndpointEjected)
		})
	}
}

func TestFailuresInARowEjectAndTimeReturns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		n.serve(addrC, sick("c"))
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{Outlier: &pool.OutlierConfig{}, SlowStart: 10 * time.Second},
			pool.WithBase(n.base()), pool.WithResolver(names), pool.WithBalancer(pool.RoundRobin()), pool.WithObserver(&seen))
		require.Equal(t, 5, spread(t, pt, site, 50)["c"])
		require.Equal(t, pool.EndpointEjected, statesOf(pt)[addrC])
		require.Equal(t, 1, seen.count(policy.ActionRotate, policy.ReasonEjected))
		ejected := seen.of(policy.ActionEject, policy.ReasonFailuresInARow)
		require.Len(t, ejected, 1)
		require.Equal(t, addrC, ejected[0].Endpoint)
		require.Equal(t, "http://api.test:80", ejected[0].Key)
		require.Equal(t, 5, ejected[0].Failures)
		require.InDelta(t, 28.5*float64(time.Second), float64(ejected[0].RetryAfter), 1.5*float64(time.Second))

		n.serve(addrC, says("c"))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		require.Equal(t, 1, seen.count(policy.ActionReturn, policy.ReasonEjectionOver))
		require.Equal(t, pool.EndpointStarts, statesOf(pt)[addrC])
		require.Less(t, spread(t, pt, site, 300)["c"], 70, "slow start")
		time.Sleep(10 * time.Second)
		require.Equal(t, pool.EndpointHealthy, statesOf(pt)[addrC])
		require.Equal(t, 100, spread(t, pt, site, 300)["c"])
	})
}

func TestResultsOfRequestsBeforeAnEjectionDoNotCountAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		n.serve(addrC, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				time.Sleep(time.Minute) // longer than the ejection
			}
			w.WriteHeader(http.StatusBadGateway)
		})
		pt := newTransport(t, pool.TransportConfig{Outlier: &pool.OutlierConfig{}}, pool.WithBase(n.base()),
			pool.WithResolver(names), pool.WithBalancer(pool.RoundRobin()))
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() { _, _, _ = get(t.Context(), pt, site+"slow") })
		}
		synctest.Wait()
		spread(t, pt, site, 15)
		require.Equal(t, 1, ejections(pt))
		time.Sleep(31 * time.Second)
		require.Equal(t, pool.EndpointHealthy, statesOf(pt)[addrC])
		all.Wait()
		require.Equal(t, 1, ejections(pt))
	})
}

func TestOfThoseEjectedTheFirstReturnsWhenTooFewAreLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		const addrD = "192.0.2.4:80"
		names.set(nil, "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")
		n.serve(addrC, sick("c"))
		n.serve(addrD, says("d"))
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{Refresh: 5 * time.Second, Outlier: &pool.OutlierConfig{}}, pool.WithBase(n.base()),
			pool.WithResolver(names), pool.WithBalancer(pool.RoundRobin()), pool.WithObserver(&seen))
		spread(t, pt, site, 20)
		time.Sleep(4 * time.Second)
		n.serve(addrD, sick("d"))
		pt.CloseIdleConnections()
		spread(t, pt, site, 20)
		require.Equal(t, 2, ejections(pt))

		names.set(nil, "192.0.2.1", "192.0.2.3", "192.0.2.4") // of three only one may be
		time.Sleep(2 * time.Second)
		spread(t, pt, site, 1)
		synctest.Wait()
		require.Equal(t, map[string]pool.EndpointState{
			addrA: pool.EndpointHealthy, addrC: pool.EndpointHealthy, addrD: pool.EndpointEjected,
		}, statesOf(pt))
		returned := seen.of(policy.ActionReturn, policy.ReasonTooFewHealthy)
		require.Len(t, returned, 1)
		require.Equal(t, addrC, returned[0].Endpoint)
	})
}

// Pool trap 23.
func TestPoolTrap23NeitherTheOnlyNorTheLastEndpointIsEjected(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		list []string
		cfg  pool.OutlierConfig
		most int
	}{
		{"the only one", []string{"192.0.2.1"}, pool.OutlierConfig{MaxEjected: 1, AllowOne: true}, 0},
		{"half of three", []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, pool.OutlierConfig{}, 1},
		{"a tenth of three", []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, pool.OutlierConfig{MaxEjected: 0.1}, 0},
		{"at least one", []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, pool.OutlierConfig{MaxEjected: 0.1, AllowOne: true}, 1},
		{"all but the last", []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, pool.OutlierConfig{MaxEjected: 1}, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				for _, a := range []string{addrA, addrB, addrC} {
					n.serve(a, sick("x"))
				}
				pt := newTransport(t, pool.TransportConfig{Outlier: &c.cfg}, pool.WithBase(n.base()), pool.WithResolver(&names{list: c.list}))
				require.Equal(t, 500, spread(t, pt, site, 500)["x"])
				require.Equal(t, c.most, ejections(pt))
				if c.most < 2 {
					require.False(t, pt.Snapshot().Targets[0].Panic)
				}
			})
		})
	}
}

// Pool trap 24.
func TestPoolTrap24WithTooFewHealthyAllGetTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		n.serve(addrB, sick("b"))
		n.serve(addrC, sick("c"))
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{Outlier: &pool.OutlierConfig{MaxEjected: 1}}, pool.WithBase(n.base()),
			pool.WithResolver(names), pool.WithBalancer(pool.RoundRobin()), pool.WithObserver(&seen))
		spread(t, pt, site, 60)
		require.Equal(t, 2, ejections(pt))
		require.Equal(t, map[string]int{"a": 10, "b": 10, "c": 10}, spread(t, pt, site, 30))
		s := pt.Snapshot().Targets[0]
		require.True(t, s.Panic)
		require.Equal(t, 1, s.Healthy)
		require.Equal(t, 1, seen.count(policy.ActionBypass, policy.ReasonTooFewHealthy))

		time.Sleep(31 * time.Second)
		require.False(t, pt.Snapshot().Targets[0].Panic)
	})
}

// Pool trap 25: ejections grow to a bound, and decay in health.
func TestPoolTrap25EjectionsGrowToABound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		n.serve(addrC, sick("c"))
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{TargetIdle: time.Hour, Outlier: &pool.OutlierConfig{}}, pool.WithBase(n.base()),
			pool.WithResolver(names), pool.WithBalancer(pool.RoundRobin()), pool.WithObserver(&seen))
		for range 50 {
			for statesOf(pt)[addrC] != pool.EndpointEjected {
				_, _, _ = get(t.Context(), pt, site)
			}
			for statesOf(pt)[addrC] == pool.EndpointEjected {
				time.Sleep(time.Second)
			}
		}
		all := seen.of(policy.ActionEject, policy.ReasonFailuresInARow)
		require.Len(t, all, 50)
		require.LessOrEqual(t, all[0].RetryAfter, 30*time.Second)
		require.Greater(t, all[1].RetryAfter, 50*time.Second)
		for _, d := range all {
			require.LessOrEqual(t, d.RetryAfter, 5*time.Minute)
		}
		require.Greater(t, all[49].RetryAfter, 4*time.Minute)
		time.Sleep(50 * time.Minute)
		for statesOf(pt)[addrC] != pool.EndpointEjected {
			_, _, _ = get(t.Context(), pt, site)
		}
		all = seen.of(policy.ActionEject, policy.ReasonFailuresInARow)
		require.LessOrEqual(t, all[50].RetryAfter, 30*time.Second)
	})
}

func TestSuccessRateOutliersAreEjected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		list := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"}
		for _, ip := range list {
			n.serve(ip+":80", says("ok"))
		}
		var calls atomic.Int64
		n.serve("192.0.2.5:80", func(w http.ResponseWriter, _ *http.Request) {
			if calls.Add(1)%2 == 0 { // never two in a row
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{Outlier: &pool.OutlierConfig{}}, pool.WithBase(n.base()),
			pool.WithResolver(&names{list: list}), pool.WithBalancer(pool.RoundRobin()), pool.WithObserver(&seen))
		spread(t, pt, site, 5*60)
		require.Zero(t, ejections(pt))
		time.Sleep(11 * time.Second)
		found := seen.of(policy.ActionEject, policy.ReasonSuccessRate)
		require.Len(t, found, 1)
		require.Equal(t, "192.0.2.5:80", found[0].Endpoint)
		require.Equal(t, 60, found[0].Calls)
		require.Equal(t, 30, found[0].Failures)
	})
}

func TestAnEjectionIsARootSpanLinkedToTheRequestThatLedToIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		n.serve(addrC, sick("c"))
		spans := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		pt := newTransport(t, pool.TransportConfig{Outlier: &pool.OutlierConfig{}}, pool.WithBase(n.base()), pool.WithResolver(names),
			pool.WithBalancer(pool.RoundRobin()), pool.WithTelemetry(otel.New(otel.WithTracerProvider(provider))))
		ctx, call := provider.Tracer("test").Start(t.Context(), "call")
		for range 15 {
			_, _, _ = get(ctx, pt, site)
		}
		call.End()
		ejected := slices.DeleteFunc(spans.Ended(), func(s sdktrace.ReadOnlySpan) bool { return s.Name() != "magnetar.pool.eject" })
		require.Len(t, ejected, 1)
		require.False(t, ejected[0].Parent().IsValid())
		require.Len(t, ejected[0].Links(), 1)
		require.Equal(t, call.SpanContext().SpanID(), ejected[0].Links()[0].SpanContext.SpanID())
	})
}
