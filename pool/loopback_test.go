package pool_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/pool"
)

// loopback serves on 127.0.0.host, all on the port of the first.
func loopback(t *testing.T, hosts []string, handlers ...http.HandlerFunc) (port string, servers []*httptest.Server) {
	t.Helper()
	port = "0"
	for i, h := range handlers {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(hosts[i], port))
		if err != nil {
			t.Skip("no such loopback address here: ", err)
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		s := httptest.NewUnstartedServer(h)
		s.Listener.Close()
		s.Listener = l
		s.Start()
		t.Cleanup(s.Close)
		servers = append(servers, s)
	}
	return port, servers
}

// load sends requests until it is stopped, and then tells how many failed of how
// many.
func load(ctx context.Context, rt http.RoundTripper, url string) (stop func() (failed, all int64)) {
	ctx, cancel := context.WithCancel(ctx)
	var failed, total atomic.Int64
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for ctx.Err() == nil {
				status, _, err := get(context.WithoutCancel(ctx), rt, url)
				if total.Add(1); err != nil || status != http.StatusOK {
					failed.Add(1)
				}
			}
		})
	}
	return func() (int64, int64) {
		cancel()
		workers.Wait()
		return failed.Load(), total.Load()
	}
}

func TestNoRequestFailsWhenAnEndpointLeavesDNSUnderLoad(t *testing.T) {
	t.Parallel()
	ips := []string{"127.0.0.21", "127.0.0.22", "127.0.0.23"}
	var perServer [3]atomic.Int64
	handlers := make([]http.HandlerFunc, 3)
	for i := range handlers {
		handlers[i] = func(http.ResponseWriter, *http.Request) { perServer[i].Add(1) }
	}
	port, _ := loopback(t, ips, handlers...)
	names := &names{list: ips}
	pt := newTransport(t, pool.TransportConfig{Refresh: 5 * time.Millisecond}, pool.WithBase(&http.Transport{}), pool.WithResolver(names))
	stop := load(t.Context(), pt, "http://api.test:"+port)
	for i := range 20 {
		before := names.lookups()
		if i%2 == 0 {
			names.set(nil, ips[:2]...)
		} else {
			names.set(nil, ips...)
		}
		require.Eventually(t, func() bool { return names.lookups() > before+1 }, 10*time.Second, time.Millisecond)
	}
	failed, total := stop()
	require.Zero(t, failed)
	require.Greater(t, total, int64(100))
	for i := range perServer {
		require.Positive(t, perServer[i].Load())
	}
}

func TestASickAndADeadServerAreLeftForTheOthers(t *testing.T) {
	t.Parallel()
	ips := []string{"127.0.0.31", "127.0.0.32", "127.0.0.33", "127.0.0.34"}
	port, servers := loopback(t, ips, says("ok"), says("ok"), sick("x"), says("ok"))
	pt := newTransport(t, pool.TransportConfig{Outlier: &pool.OutlierConfig{}}, pool.WithBase(&http.Transport{}),
		pool.WithResolver(&names{list: ips}), pool.WithBalancer(pool.RoundRobin()))
	url := "http://api.test:" + port
	spread(t, pt, url, 40)
	servers[3].Close()
	spread(t, pt, url, 40)
	states := statesOf(pt)
	require.Equal(t, pool.EndpointEjected, states[net.JoinHostPort(ips[2], port)])
	require.Equal(t, pool.EndpointEjected, states[net.JoinHostPort(ips[3], port)])
	require.Equal(t, map[string]int{"ok": 100}, spread(t, pt, url, 100))
}

func TestSnapshotIsPlainJSON(t *testing.T) {
	t.Parallel()
	port, _ := loopback(t, []string{"127.0.0.41"}, says("ok"))
	pt := newTransport(t, pool.TransportConfig{MaxInFlight: 10}, pool.WithBase(&http.Transport{}),
		pool.WithResolver(&names{list: []string{"127.0.0.41"}}))
	spread(t, pt, "http://api.test:"+port, 3)
	s := pt.Snapshot()
	e := s.Targets[0].Endpoints[0]
	require.Equal(t, "http://api.test:"+port, s.Targets[0].Name)
	require.Equal(t, "127.0.0.41:"+port, e.Address)
	require.Equal(t, 1, e.Generations)
	require.Len(t, e.Conns, 1)
	require.Equal(t, 3, e.Conns[0].Requests)
	require.Equal(t, "http/1.1", e.Conns[0].Protocol)
	require.Positive(t, e.Conns[0].Expires)
	require.Positive(t, e.Latency)
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.Contains(t, string(text), `"state":"healthy"`)
	require.NotContains(t, string(text), "ejected_until")

	empty, err := json.Marshal(newTransport(t, pool.TransportConfig{}).Snapshot())
	require.NoError(t, err)
	require.Contains(t, string(empty), `"targets":[]`)
}
