package pool_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
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

// Pool trap 26.
func TestPoolTrap26FailedLookupsKeepTheLastGoodAddresses(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*names){
		"error":   func(n *names) { n.set(errors.New("NXDOMAIN")) },
		"empty":   func(n *names) { n.set(nil) },
		"garbage": func(n *names) { n.set(nil, "not an address", "192.0.2.1:0", "") },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				names := three(n)
				var seen decisions
				pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(names),
					pool.WithBalancer(pool.RoundRobin()), pool.WithObserver(&seen))
				spread(t, pt, site, 3)
				good := pt.Snapshot().Targets[0].Resolver.LastGood
				spoil(names)
				for range 10 {
					time.Sleep(31 * time.Second)
					require.Equal(t, map[string]int{"a": 1, "b": 1, "c": 1}, spread(t, pt, site, 3))
					synctest.Wait()
				}
				s := pt.Snapshot().Targets[0].Resolver
				require.Equal(t, 10, s.Stale)
				require.NotEmpty(t, s.Err)
				require.Equal(t, good, s.LastGood)
				found := seen.of(policy.ActionResolve, "")
				require.Len(t, found, 11)
				require.Error(t, found[10].Err)

				names.set(nil, "192.0.2.2")
				time.Sleep(31 * time.Second)
				spread(t, pt, site, 1)
				synctest.Wait()
				require.Equal(t, map[string]int{"b": 3}, spread(t, pt, site, 3))
				require.Zero(t, pt.Snapshot().Targets[0].Resolver.Stale)
			})
		})
	}
}

// Pool trap 26: also when connections fail.
func TestPoolTrap26AStormOfDialFailuresLooksUpOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := &names{list: []string{"192.0.2.1"}}
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(names))
		for range 1000 { // in 10 s
			_, _, err := get(t.Context(), pt, site)
			require.Error(t, err)
			time.Sleep(10 * time.Millisecond)
		}
		require.InDelta(t, 10, names.lookups(), 1)
		n.serve(addrB, says("b"))
		names.set(nil, "192.0.2.2")
		time.Sleep(time.Second)
		_, _, _ = get(t.Context(), pt, site)
		synctest.Wait()
		require.Equal(t, map[string]int{"b": 3}, spread(t, pt, site, 3), "long before the next refresh")
	})
}

func TestAHostNeverResolvedIsAskedForOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, says("a"))
		names := &names{err: errors.New("SERVFAIL")}
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(names))
		for range 100 {
			_, _, err := get(t.Context(), pt, site)
			require.ErrorIs(t, err, policy.ErrConnectionCreation)
			require.ErrorContains(t, err, "SERVFAIL")
		}
		require.Equal(t, 1, names.lookups())
		names.set(nil, "192.0.2.1")
		time.Sleep(time.Second)
		require.Equal(t, map[string]int{"a": 1}, spread(t, pt, site, 1))
	})
}

func TestOneLookupServesAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, says("a"))
		var asked atomic.Int64
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(
			pool.ResolverFunc(func(context.Context, string) ([]string, error) {
				asked.Add(1)
				time.Sleep(time.Second)
				return []string{"192.0.2.1"}, nil
			})))
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if i == 0 { // its leaving is nobody else's
					ctx, cancel = context.WithTimeout(ctx, time.Millisecond)
					defer cancel()
				}
				_, _, err := get(ctx, pt, site)
				if i == 0 {
					require.ErrorIs(t, err, context.DeadlineExceeded)
				} else {
					require.NoError(t, err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, asked.Load())
	})
}

func TestAResolverThatMisbehavesCostsNoMoreThanItsTime(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		resolve pool.ResolverFunc
		says    string
		after   time.Duration
	}{
		{"panics", func(context.Context, string) ([]string, error) { panic("oops") }, "oops", 0},
		{"ends its goroutine", func(context.Context, string) ([]string, error) {
			runtime.Goexit()
			return nil, nil
		}, "goroutine", 0},
		{"obeys", func(ctx context.Context, _ string) ([]string, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, "deadline exceeded", 5 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				pt := newTransport(t, pool.TransportConfig{}, pool.WithResolver(c.resolve))
				began := time.Now()
				_, _, err := get(t.Context(), pt, site)
				require.ErrorIs(t, err, policy.ErrConnectionCreation)
				require.ErrorContains(t, err, c.says)
				require.Equal(t, c.after, time.Since(began))
			})
		})
	}
	t.Run("hangs", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			over := make(chan struct{})
			defer close(over)
			var asked atomic.Int64
			pt := newTransport(t, pool.TransportConfig{}, pool.WithResolver(
				pool.ResolverFunc(func(context.Context, string) ([]string, error) {
					asked.Add(1)
					<-over
					return nil, nil
				})))
			for range 10 {
				_, _, err := get(t.Context(), pt, site)
				require.ErrorIs(t, err, policy.ErrConnectionCreation)
				time.Sleep(10 * time.Second)
			}
			require.EqualValues(t, 3, asked.Load(), "those that hang are bounded")
			require.NoError(t, pt.Close())
		})
	})
}

func TestAddressesMayNamePortsAndRepeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, says("a"))
		n.serve("192.0.2.1:8080", says("a2"))
		n.serve("[2001:db8::1]:80", says("v6"))
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithBalancer(pool.RoundRobin()),
			pool.WithResolver(&names{list: []string{"192.0.2.1", "192.0.2.1:80", "::ffff:192.0.2.1", "192.0.2.1:8080", "2001:db8::1", "[2001:db8::1]:80"}}))
		require.Equal(t, map[string]int{"a": 3, "a2": 3, "v6": 3}, spread(t, pt, site, 9))
		require.Equal(t, map[string]int{"v6": 1}, spread(t, pt, "http://[2001:db8::1]/", 1))
	})
}

func TestAnEndpointThatLeavesFinishesWhatItHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		n.serve(addrC, func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			time.Sleep(5 * time.Minute)
			io.WriteString(w, "c")
		})
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{TargetIdle: time.Hour}, pool.WithBase(n.base()), pool.WithResolver(names),
			pool.WithBalancer(pool.RoundRobin()), pool.WithObserver(&seen))
		var late sync.WaitGroup
		for range 3 {
			late.Go(func() {
				_, _, err := get(t.Context(), pt, site)
				require.NoError(t, err)
			})
		}
		synctest.Wait()
		names.set(nil, "192.0.2.1", "192.0.2.2")
		time.Sleep(31 * time.Second)
		_, _, _ = get(t.Context(), pt, site)
		synctest.Wait()
		require.Equal(t, map[string]int{"a": 5, "b": 5}, spread(t, pt, site, 10))
		require.Equal(t, 1, seen.count(policy.ActionRotate, policy.ReasonRemoved))
		n.serve(addrC, says("c again"))
		names.set(nil, "192.0.2.1", "192.0.2.2", "192.0.2.3")
		time.Sleep(31 * time.Second)
		_, _, _ = get(t.Context(), pt, site)
		synctest.Wait()
		require.Equal(t, 2, spread(t, pt, site, 6)["c again"], "it starts anew")
		late.Wait()
	})
}

func TestANewEndpointStartsSlowlyButNotTheFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		names.set(nil, "192.0.2.1", "192.0.2.2")
		pt := newTransport(t, pool.TransportConfig{SlowStart: time.Minute}, pool.WithBase(n.base()), pool.WithResolver(names))
		spread(t, pt, site, 2)
		require.Equal(t, pool.EndpointHealthy, statesOf(pt)[addrA])
		names.set(nil, "192.0.2.1", "192.0.2.2", "192.0.2.3")
		time.Sleep(31 * time.Second)
		spread(t, pt, site, 1)
		synctest.Wait()
		require.Equal(t, pool.EndpointStarts, statesOf(pt)[addrC])
		require.Less(t, spread(t, pt, site, 600)["c"], 60)
		time.Sleep(time.Minute)
		require.Equal(t, pool.EndpointHealthy, statesOf(pt)[addrC])
		require.Greater(t, spread(t, pt, site, 600)["c"], 100)
	})
}

func TestStaticResolvesWhateverTheCase(t *testing.T) {
	t.Parallel()
	r := pool.Static(map[string][]string{"API.test": {"192.0.2.1"}})
	found, err := r.Resolve(t.Context(), "api.TEST")
	require.NoError(t, err)
	require.Equal(t, []string{"192.0.2.1"}, found)
	_, err = r.Resolve(t.Context(), "other.test")
	require.Error(t, err)
}

func TestSystemDNSResolvesLocalhost(t *testing.T) {
	t.Parallel()
	found, err := pool.SystemDNS().Resolve(t.Context(), "localhost")
	require.NoError(t, err)
	require.NotEmpty(t, found)
}

func TestAddressesAreLookedUpOnceWithANegativeRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := &names{list: []string{"192.0.2.1"}}
		pt := newTransport(t, pool.TransportConfig{Refresh: -1}, pool.WithBase(n.base()), pool.WithResolver(names))
		for range 10 {
			_, _, err := get(t.Context(), pt, site)
			require.Error(t, err)
			time.Sleep(10 * time.Second)
		}
		require.Equal(t, 1, names.lookups())
	})
}

func TestWhatTheResolverChangesIsLinkedToTheRequestThatLedToIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := three(n)
		spans := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(names),
			pool.WithTelemetry(otel.New(otel.WithTracerProvider(provider))))
		spread(t, pt, site, 3)
		names.set(nil, "192.0.2.1", "192.0.2.2")
		time.Sleep(31 * time.Second)
		ctx, call := provider.Tracer("test").Start(t.Context(), "call")
		_, _, err := get(ctx, pt, site)
		require.NoError(t, err)
		call.End()
		synctest.Wait()
		linked := map[string]int{}
		for _, s := range spans.Ended() {
			if links := s.Links(); len(links) == 1 && links[0].SpanContext.SpanID() == call.SpanContext().SpanID() {
				require.False(t, s.Parent().IsValid())
				linked[s.Name()]++
			}
		}
		require.Equal(t, map[string]int{"magnetar.pool.resolve": 1, "magnetar.pool.rotate": 1}, linked)
	})
}
