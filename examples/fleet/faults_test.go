//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/examples/internal/redisd"
	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

var errWrong = errors.New("a wrong admission, or a wrong refusal")

// node is a server of a cluster.
type node struct {
	*daemon.Daemon

	bus int
}

func startNode(t *testing.T) node {
	t.Helper()
	d := daemon.New(t, redisd.Program)
	n := node{d, daemon.FreePort(t)}
	d.Start(arguments(d, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(n.bus))...)
	return n
}

// Each fault becomes an error with a plain text, and is over by itself.
func TestFaultsOfARealServerAreErrorsAndEnd(t *testing.T) {
	d := startServer(t)
	admin := clientOf(t, d.Address())
	do(t, admin, "SET", "dummy", strings.Repeat("x", 1000))
	for _, fault := range []struct {
		name, says string
		begin, end []any
	}{
		{"out of memory", "OOM: ", []any{"CONFIG", "SET", "maxmemory", "1"}, []any{"CONFIG", "SET", "maxmemory", "0"}},
		{"read only", "READONLY: ", []any{"REPLICAOF", "127.0.0.1", "1"}, []any{"REPLICAOF", "NO", "ONE"}},
		{"too few replicas", "NOREPLICAS: ", []any{"CONFIG", "SET", "min-replicas-to-write", "1"}, []any{"CONFIG", "SET", "min-replicas-to-write", "0"}},
		{"not permitted", "NOPERM: ", []any{"ACL", "SETUSER", "default", "-evalsha"}, []any{"ACL", "SETUSER", "default", "+evalsha"}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			for _, mode := range []redislimit.OnFailure{redislimit.Open, redislimit.Closed, redislimit.Local} {
				var c toll
				s := newStore(t, countedClient(t, d.Address(), &c), redislimit.Config{OnFailure: mode, Replicas: 1, Prefix: fault.name + string(mode)})
				c.call(take(t, s, 1, limitOf(2, day))[0].Admitted)
				do(t, admin, fault.begin...)
				levels, err := s.Take(t.Context(), "alice", 1, limitOf(2, day))
				do(t, admin, fault.end...)
				c.call(promised(mode, err))
				if mode == redislimit.Local {
					require.NoError(t, err)
					require.Equal(t, 0, levels[0].Remaining, "it knows of the first")
				} else {
					require.ErrorContains(t, err, fault.says)
					require.NotContains(t, err.Error(), "127.0.0.1")
					require.Equal(t, mode == redislimit.Closed, policy.Refused(err))
					eventually(t, s)
					c.call(take(t, s, 1, limitOf(2, day))[0].Admitted)
				}
				eventually(t, s)
				c.call(!take(t, s, 1, limitOf(2, day))[0].Admitted)
				c.survived(t, fault.name+", "+string(mode))
			}
		})
	}
}

func TestServerThatWantsAPassword(t *testing.T) {
	d := startServer(t, "--requirepass", "secret")
	s := newStore(t, clientOf(t, d.Address()), redislimit.Config{})
	_, err := s.Take(t.Context(), "alice", 1, limitOf(1, day))
	require.ErrorContains(t, err, "NOAUTH: ")
	wrong := redis.NewClient(&redis.Options{Addr: d.Address(), Password: "wrong"})
	defer wrong.Close()
	_, err = newStore(t, wrong, redislimit.Config{}).Take(t.Context(), "alice", 1, limitOf(1, day))
	require.ErrorContains(t, err, "WRONGPASS: ")
}

func TestServerThatForgetsTheScriptIsTold(t *testing.T) {
	d := startServer(t)
	c := clientOf(t, d.Address())
	var cost toll
	s := newStore(t, countedClient(t, d.Address(), &cost), redislimit.Config{OnFailure: redislimit.Closed})
	for i := range 5 {
		level := take(t, s, 1, limitOf(5, day))[0]
		require.Equal(t, 4-i, level.Remaining)
		cost.call(level.Admitted)
		do(t, c, "SCRIPT", "FLUSH")
	}
	require.EqualValues(t, 4, cost.repeated.Load())
	cost.survived(t, "without the script")
}

// The value of somebody else concerns that key alone.
func TestWrongTypeIsTheTroubleOfOneKey(t *testing.T) {
	d := startServer(t)
	c := clientOf(t, d.Address())
	s := newStore(t, c, redislimit.Config{})
	take(t, s, 1, limitOf(5, day))
	all, err := c.Keys(t.Context(), "magnetar:*").Result()
	require.NoError(t, err)
	do(t, c, "SET", all[0], "what is this?")
	_, err = s.Take(t.Context(), "alice", 1, limitOf(5, day))
	require.ErrorContains(t, err, "WRONGTYPE: ")
	_, err = s.Take(t.Context(), "bob", 1, limitOf(5, day))
	require.NoError(t, err)
}

// A server that starts with much to load answers, but not us.
func TestServerThatIsLoading(t *testing.T) {
	d := startServer(t)
	c := clientOf(t, d.Address())
	do(t, c, "DEBUG", "POPULATE", 2000, "key", 1000)
	do(t, c, "SAVE")
	d.Kill()
	d.Start(arguments(d, "--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")...) // 2 s
	var cost toll
	loading := clientOf(t, d.Address())
	loading.AddHook(&cost)
	s := newStore(t, loading, redislimit.Config{OnFailure: redislimit.Closed})
	_, err := s.Take(t.Context(), "alice", 1, limitOf(5, day))
	require.ErrorContains(t, err, "LOADING: ")
	require.ErrorIs(t, err, policy.ErrSaturated)
	cost.call(promised(redislimit.Closed, err))
	eventually(t, s)
	level := take(t, s, 1, limitOf(5, day))[0]
	require.Equal(t, 4, level.Remaining)
	cost.call(level.Admitted)
	cost.survived(t, "loading")
}

// A black hole, and a server that is gone: one timeout, and then none.
func TestServerThatIsAwayIsLeftAlone(t *testing.T) {
	for name, away := range map[string]struct{ leave, come func(*daemon.Daemon) }{
		"black hole": {func(d *daemon.Daemon) { d.Signal(syscall.SIGSTOP) }, func(d *daemon.Daemon) { d.Signal(syscall.SIGCONT) }},
		"killed":     {func(d *daemon.Daemon) { d.Kill() }, func(d *daemon.Daemon) { d.Start(arguments(d)...) }},
	} {
		t.Run(name, func(t *testing.T) {
			d := startServer(t)
			var cost toll
			s := newStore(t, countedClient(t, d.Address(), &cost), redislimit.Config{
				Timeout: 2 * time.Second, OnFailure: redislimit.Local, Replicas: 4,
			})
			require.Equal(t, 99, take(t, s, 1, limitOf(100, day))[0].Remaining)
			away.leave(d)
			began := time.Now()
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					_, err := s.Take(t.Context(), "alice", 1, limitOf(100, day))
					cost.call(promised(redislimit.Local, err))
				})
			}
			wg.Wait()
			first := time.Since(began)
			times, rest := make([]time.Duration, 10_000), time.Duration(0)
			for i := range times {
				began = time.Now()
				_, err := s.Take(t.Context(), "alice", 1, limitOf(100, day))
				times[i] = time.Since(began)
				rest += times[i]
				cost.call(promised(redislimit.Local, err))
			}
			slices.Sort(times)
			require.Less(t, first, 4*time.Second, "once")
			require.Less(t, rest, 2*time.Second, "for all of them, not each")
			trips := s.Stats().Trips
			away.come(d)
			eventually(t, s)
			cost.survived(t, name)
			t.Logf("%s: the first 50 waited %v, the others %v each, p99 %v; %d trips to Redis",
				name, first.Round(time.Millisecond), rest/time.Duration(len(times)), demo.Percentile(times, 99), trips)
		})
	}
}

func TestContextEndsTheWaitForAServer(t *testing.T) {
	d := startServer(t)
	s := newStore(t, clientOf(t, d.Address()), redislimit.Config{})
	take(t, s, 1, limitOf(100, day))
	d.Signal(syscall.SIGSTOP)
	defer d.Signal(syscall.SIGCONT)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := s.Take(ctx, "alice", 1, limitOf(100, day))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, isTimeout(err))
	require.Less(t, time.Since(began), patience/2)
	require.Equal(t, policy.Closed, s.Stats().State)
}

// A replica takes over: what was taken stays taken, calls are answered all the
// while, and nobody tells the store.
func TestReplicaTakesOver(t *testing.T) {
	master := startServer(t)
	replica := startServer(t, "--replicaof", fmt.Sprintf("127.0.0.1 %d", master.Port))
	second := clientOf(t, replica.Address())
	require.Eventually(t, func() bool {
		info, err := second.Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	}, patience, 10*time.Millisecond)

	var address atomic.Value // what a name, a proxy or Sentinel would say
	address.Store(master.Address())
	c := redis.NewClient(&redis.Options{
		Addr: "the-master:6379", MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address.Load().(string))
		},
	})
	defer c.Close()
	s := newStore(t, c, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1})
	const burst = 100_000
	var cost toll
	c.AddHook(&cost)
	var admitted atomic.Int64
	load := func() (end func()) {
		stop := make(chan struct{})
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(2 * time.Millisecond):
					}
					levels, err := s.Take(t.Context(), "alice", 1, limitOf(burst, time.Hour))
					cost.call(promised(redislimit.Local, err))
					if err == nil && levels[0].Admitted {
						admitted.Add(1)
					}
				}
			})
		}
		return func() { close(stop); callers.Wait() }
	}
	end := load()
	require.Eventually(t, func() bool { return admitted.Load() > 200 }, patience, time.Millisecond)
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
	end = load()
	after := admitted.Load() + 200
	require.Eventually(t, func() bool { return admitted.Load() > after }, patience, time.Millisecond)
	end()
	require.Equal(t, before, s.Stats().Without)
	require.Equal(t, cost.offered.Load(), admitted.Load())
	taken := burst - take(t, s, 0, limitOf(burst, time.Hour))[0].Remaining
	require.InDelta(t, admitted.Load(), taken, 50, "what was taken stays taken, but for what was on its way")
	cost.survived(t, "failed over")
	t.Logf("failover: %d answered without Redis; %d admitted, of which Redis knows %d", before, admitted.Load(), taken)
}
