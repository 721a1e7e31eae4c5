//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
	"github.com/magnetar-go/magnetar/examples/internal/redisd"
	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// crowd are callers who ask all the time.
type crowd struct {
	toll

	admitted atomic.Int64
}

// ask lets callers ask the stores, a few of each, until they are told to end.
func (c *crowd) ask(t *testing.T, limits []policy.StoreLimit, stores ...*redislimit.Store) (end func()) {
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for _, s := range stores {
		for range 8 {
			callers.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(2 * time.Millisecond):
					}
					levels, err := s.Take(t.Context(), "alice", 1, limits)
					c.call(promised(redislimit.Local, err))
					if err == nil && levels[0].Admitted {
						c.admitted.Add(1)
					}
				}
			})
		}
	}
	return func() { close(stop); callers.Wait() }
}

// startReplica starts a server that has all of the master's.
func startReplica(t *testing.T, master *daemon.Daemon) (*daemon.Daemon, *redis.Client) {
	t.Helper()
	d := startServer(t, "--replicaof", fmt.Sprintf("127.0.0.1 %d", master.Port))
	c := clientOf(t, d.Address())
	require.Eventually(t, func() bool {
		info, err := c.Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	}, patience, 10*time.Millisecond)
	of := clientOf(t, master.Address()) // sends nothing on until the replica has said that it is there
	wait := of.Conn()
	defer wait.Close()
	require.NoError(t, wait.Set(t.Context(), "before", "all", 0).Err())
	require.EqualValues(t, 1, wait.Wait(t.Context(), 1, patience).Val())
	return d, c
}

// A replica takes over: what was taken stays taken, calls are answered all the
// while, and nobody tells the store.
func TestReplicaTakesOver(t *testing.T) {
	master := startServer(t)
	replica, second := startReplica(t, master)
	var address atomic.Value // what a name, a proxy or Sentinel would say
	address.Store(master.Address())
	c := redis.NewClient(&redis.Options{
		Addr: "the-master:6379", DialerRetries: 1, ContextTimeoutEnabled: true,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address.Load().(string))
		},
	})
	defer c.Close()
	s := newStore(t, c, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1})
	const burst = 100_000
	limits := limitOf(burst, time.Hour)
	var callers crowd
	c.AddHook(&callers)
	end := callers.ask(t, limits, s)
	require.Eventually(t, func() bool { return callers.admitted.Load() > 200 }, patience, time.Millisecond)
	master.Kill()
	require.Eventually(t, func() bool { return s.Stats().State != policy.Closed }, patience, time.Millisecond)
	address.Store(replica.Address()) // too early: it is read-only
	trips := s.Stats().Trips
	require.Eventually(t, func() bool { return s.Stats().Trips > trips+2 }, patience, time.Millisecond)
	require.NotEqual(t, policy.Closed, s.Stats().State, "a replica is not taken for a master")
	do(t, second, "REPLICAOF", "NO", "ONE")
	require.Eventually(t, func() bool { return s.Stats().State == policy.Closed }, patience, time.Millisecond)
	end() // with those that were answered without it and are yet to be counted
	before := s.Stats().Without
	end = callers.ask(t, limits, s)
	after := callers.admitted.Load() + 200
	require.Eventually(t, func() bool { return callers.admitted.Load() > after }, patience, time.Millisecond)
	end()
	require.Equal(t, before, s.Stats().Without)
	require.Equal(t, callers.offered.Load(), callers.admitted.Load())
	taken := burst - take(t, s, 0, limits)[0].Remaining
	require.InDelta(t, callers.admitted.Load(), taken, 50, "what was taken stays taken, but for what was on its way")
	callers.survived(t, "failed over")
	t.Logf("failover: %d answered without Redis; %d admitted, of which Redis knows %d", before, callers.admitted.Load(), taken)
}

// startSentinel starts one that watches the master, and by itself puts a replica in
// its place.
func startSentinel(t *testing.T, master *daemon.Daemon) *daemon.Daemon {
	t.Helper()
	d := daemon.New(t, redisd.Program)
	d.Start(d.File("sentinel.conf", fmt.Sprintf(`
port %d
bind 127.0.0.1
dir %s
sentinel monitor payments 127.0.0.1 %d 1
sentinel down-after-milliseconds payments 1000
sentinel failover-timeout payments 5000
`, d.Port, d.Dir, master.Port)), "--sentinel")
	admin := redis.NewSentinelClient(&redis.Options{Addr: d.Address()})
	defer admin.Close()
	require.Eventually(t, func() bool {
		known, err := admin.Replicas(t.Context(), "payments").Result()
		return err == nil && len(known) == 1 && known[0]["master-link-status"] == "ok"
	}, patience, 10*time.Millisecond)
	return d
}

// The master is killed, and Sentinel makes another of the replica. All calls are
// answered, the limit of the fleet holds, and nobody tells the stores.
func TestSentinelFailsOver(t *testing.T) {
	master := startServer(t)
	replica, _ := startReplica(t, master)
	sentinel := startSentinel(t, master)
	do(t, clientOf(t, master.Address()), "SCRIPT", "LOAD", redislimit.Script)
	const burst = 40_000
	limits := limitOf(burst, time.Hour)
	var c crowd
	var stores []*redislimit.Store
	for range 2 { // processes
		client := redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: "payments", SentinelAddrs: []string{sentinel.Address()},
			DialerRetries: 1, ContextTimeoutEnabled: true,
		})
		defer client.Close()
		client.AddHook(&c)
		stores = append(stores, newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 2}))
	}
	end := c.ask(t, limits, stores...)
	require.Eventually(t, func() bool { return c.admitted.Load() > 500 }, patience, time.Millisecond)
	killed := time.Now()
	master.Kill()
	all := func(is func(policy.State) bool) func() bool {
		return func() bool { return is(stores[0].Stats().State) && is(stores[1].Stats().State) }
	}
	require.Eventually(t, all(func(s policy.State) bool { return s != policy.Closed }), patience, time.Millisecond)
	require.Eventually(t, all(func(s policy.State) bool { return s == policy.Closed }), 2*patience, time.Millisecond)
	away := time.Since(killed)
	require.Eventually(t, func() bool { // whatever is left of the limit
		levels, err := stores[0].Take(t.Context(), "alice", 0, limits)
		return err == nil && levels[0].Remaining == 0
	}, 2*patience, 20*time.Millisecond)
	end()
	role, err := clientOf(t, replica.Address()).Do(t.Context(), "ROLE").Slice()
	require.NoError(t, err)
	require.Equal(t, "master", role[0])
	before := stores[0].Stats().Without + stores[1].Stats().Without
	again := c.ask(t, limits, stores...)
	offered := c.offered.Load() + 500
	require.Eventually(t, func() bool { return c.offered.Load() > offered }, patience, time.Millisecond)
	again()
	require.Equal(t, before, stores[0].Stats().Without+stores[1].Stats().Without)
	c.survived(t, "failed over by Sentinel")
	t.Logf("sentinel: Redis was away for %v, %d answered without it; %d admitted of %d",
		away.Round(time.Millisecond), before, c.admitted.Load(), burst)
	// Twice may be admitted what the replica had yet to learn of, and what the one
	// process took by itself while the other had an answer.
	require.InDelta(t, burst, c.admitted.Load(), burst/20)
}
