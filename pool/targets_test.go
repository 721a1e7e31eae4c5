package pool_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// Pool trap 29.
func TestPoolTrap29HostsSeenOnceLeaveNothing(t *testing.T) { // not beside others, for it counts goroutines
	synctest.Test(t, func(t *testing.T) {
		hosts := 10_000
		if testing.Short() || raceEnabled {
			hosts = 1000
		}
		n := newNetwork(t)
		n.serve(addrA, says("a"))
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{MaxTargets: hosts / 2}, pool.WithBase(n.base()),
			pool.WithResolver(&names{list: []string{"192.0.2.1"}}), pool.WithObserver(&seen))
		_, _, err := get(t.Context(), pt, "http://first.test")
		require.NoError(t, err)
		synctest.Wait()
		before := runtime.NumGoroutine() // with one target
		for i := range hosts {
			_, _, err := get(t.Context(), pt, fmt.Sprintf("http://host-%d.test", i))
			require.NoError(t, err)
		}
		synctest.Wait()
		require.Len(t, pt.Snapshot().Targets, hosts/2)
		require.Zero(t, seen.count(policy.ActionBypass, policy.ReasonTooManyKeys), "those without requests left")
		require.Equal(t, fmt.Sprintf("http://host-%d.test:80", hosts-1), newest(pt))

		time.Sleep(6 * time.Minute)
		synctest.Wait()
		require.Empty(t, pt.Snapshot().Targets)
		require.LessOrEqual(t, runtime.NumGoroutine(), before)
		require.Equal(t, hosts+1, seen.count(policy.ActionRotate, policy.ReasonUnused))
	})
}

func newest(pt *pool.Transport) (name string) {
	least := time.Duration(1<<63 - 1)
	for _, tgt := range pt.Snapshot().Targets {
		if tgt.Unused < least || tgt.Unused == least && len(tgt.Name) >= len(name) && tgt.Name > name {
			name, least = tgt.Name, tgt.Unused
		}
	}
	return name
}

func TestTargetsBeyondTheBoundShareConnectionsWhileAllAreBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, slow(time.Minute))
		n.serve("192.0.2.7:80", says("7"))
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{MaxTargets: 1}, pool.WithBase(n.base()), pool.WithObserver(&seen))
		go get(t.Context(), pt, "http://192.0.2.1")
		synctest.Wait()
		require.Equal(t, map[string]int{"7": 2}, spread(t, pt, "http://192.0.2.7", 2))
		over := seen.of(policy.ActionBypass, policy.ReasonTooManyKeys)
		require.Len(t, over, 2)
		require.Equal(t, "http://192.0.2.7:80", over[0].Key)
		require.Len(t, pt.Snapshot().Targets, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, map[string]int{"7": 1}, spread(t, pt, "http://192.0.2.7", 1))
		require.Equal(t, "http://192.0.2.7:80", pt.Snapshot().Targets[0].Name)
	})
}

func TestATargetInUseIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, slow(time.Hour))
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()))
		go get(t.Context(), pt, "http://192.0.2.1")
		time.Sleep(50 * time.Minute)
		require.Len(t, pt.Snapshot().Targets, 1)
		time.Sleep(20 * time.Minute)
		require.Empty(t, pt.Snapshot().Targets)
	})
}

func TestHostsAreKnownByNameAndPort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(three(n)))
		for _, u := range []string{"http://api.test", "http://API.test:80/x", "http://api.test:/y"} {
			_, _, err := get(t.Context(), pt, u)
			require.NoError(t, err)
		}
		require.Len(t, pt.Snapshot().Targets, 1)
		require.Equal(t, "http://api.test:80", pt.Snapshot().Targets[0].Name)
	})
}

func TestAProxyIsDialledInsteadOfTheHost(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		says("via "+r.URL.String())(w, r)
	}))
	defer proxy.Close()
	u, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	u.User = url.UserPassword("me", "secret")
	pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(&http.Transport{Proxy: http.ProxyURL(u)}),
		pool.WithResolver(pool.Static(nil)))
	_, body, err := get(t.Context(), pt, "http://api.test/x")
	require.NoError(t, err)
	require.Equal(t, "via http://api.test/x", body)
	s := pt.Snapshot().Targets[0]
	require.NotContains(t, s.Proxy, "secret")
	require.Len(t, s.Endpoints, 1)
	require.Empty(t, s.Endpoints[0].Address)

	require.NoError(t, pt.Rebase(&http.Transport{}, "no more proxy"))
	_, _, err = get(t.Context(), pt, "http://api.test/x")
	require.ErrorIs(t, err, policy.ErrConnectionCreation, "the resolver knows none")
}

func TestPrewarmOpensConnectionsToEachEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(three(n)))
		require.NoError(t, pt.Prewarm(t.Context(), site, 4))
		for _, a := range []string{addrA, addrB, addrC} {
			require.Equal(t, 4, n.dialled(a))
		}
		spread(t, pt, site, 30)
		require.Equal(t, 4, n.dialled(addrA))
		for _, e := range pt.Snapshot().Targets[0].Endpoints {
			require.Len(t, e.Conns, 4)
		}
		n.kill(addrB)
		pt.CloseIdleConnections()
		require.ErrorContains(t, pt.Prewarm(t.Context(), site, 2), addrB)
		require.NoError(t, pt.Prewarm(t.Context(), site, 0))
		require.Error(t, pt.Prewarm(t.Context(), "ftp://x", 1))
		require.Error(t, pt.Prewarm(t.Context(), ":", 1))
	})
}

func TestPrewarmNeedsOneConnectionOfHTTP2(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(says(""))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(s.Client().Transport.(*http.Transport)))
	require.NoError(t, pt.Prewarm(t.Context(), s.URL, 5))
	require.LessOrEqual(t, len(pt.Snapshot().Targets[0].Endpoints[0].Conns), 2)
}

func TestPrewarmEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, slow(time.Hour))
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, pt.Prewarm(ctx, "http://192.0.2.1", 3), context.DeadlineExceeded)
	})
}

func TestRotateLeavesConnectionsAndTellsWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(three(n)),
			pool.WithBalancer(pool.RoundRobin()), pool.WithObserver(&seen))
		spread(t, pt, site, 6)
		require.Equal(t, 1, n.dialled(addrA))
		pt.Rotate("new certificates")
		spread(t, pt, site, 6)
		require.Equal(t, 2, n.dialled(addrA))
		found := seen.of(policy.ActionRotate, policy.ReasonRotated)
		require.NotEmpty(t, found)
		require.Equal(t, "new certificates", found[0].Note)
		require.Error(t, pt.Rebase(nil, ""))
		require.NoError(t, pt.Rebase(n.base(), "again"))
		spread(t, pt, site, 6)
		require.Equal(t, 3, n.dialled(addrA))
	})
}

func TestOfRebasesAtTheSameTimeOneWinsEverywhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(three(n)), pool.WithBalancer(pool.RoundRobin()))
		var by [2]atomic.Int64
		bases := make([]*http.Transport, len(by))
		for i := range bases {
			bases[i] = &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				by[i].Add(1)
				return n.dial(ctx, network, address)
			}}
		}
		spread(t, pt, site, 3)
		for range 100 {
			var both sync.WaitGroup
			for _, base := range bases {
				both.Go(func() { _ = pt.Rebase(base, "") })
			}
			both.Wait()
			by[0].Store(0)
			by[1].Store(0)
			require.Equal(t, map[string]int{"a": 1, "b": 1, "c": 1}, spread(t, pt, site, 3))
			require.ElementsMatch(t, []int64{0, 3}, []int64{by[0].Load(), by[1].Load()})
		}
	})
}
