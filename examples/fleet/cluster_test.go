//go:build linux

package main

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
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

func startNode(t *testing.T, more ...string) node {
	t.Helper()
	d := daemon.New(t, redisd.Program)
	n := node{d, daemon.FreePort(t)}
	d.Start(arguments(d, append(more, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(n.bus))...)...)
	return n
}

func TestStoreServesACluster(t *testing.T) {
	one, two := startNode(t), startNode(t)
	a, b := clientOf(t, one.Address()), clientOf(t, two.Address())
	do(t, a, "CLUSTER", "ADDSLOTSRANGE", 0, 8191)
	do(t, b, "CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
	do(t, a, "CLUSTER", "MEET", "127.0.0.1", two.Port, two.bus)
	for _, c := range []*redis.Client{a, b} {
		require.Eventually(t, func() bool {
			info, err := c.ClusterInfo(t.Context()).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:2")
		}, patience, 10*time.Millisecond)
	}
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{one.Address()}, MaxRedirects: 3})
	t.Cleanup(func() { cluster.Close() })
	s := newStore(t, cluster, redislimit.Config{})
	limits := append(limitOf(2, day), policy.StoreLimit{Name: "more", Burst: 3, Interval: day})
	done := make(chan error)
	for key := range strings.FieldsSeq("a b c d e f g h i j k l m n o p") {
		go func() {
			for _, want := range []bool{true, true, false} {
				levels, err := s.Take(t.Context(), key, 1, limits)
				if err == nil && levels[0].Admitted != want {
					err = errWrong
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 16 {
		require.NoError(t, <-done)
	}
	for _, c := range []*redis.Client{a, b} {
		n, err := c.DBSize(t.Context()).Result()
		require.NoError(t, err)
		require.Positive(t, n, "keys are spread")
	}

	alone := newStore(t, a, redislimit.Config{})
	refused := 0
	for key := range strings.FieldsSeq("a b c d e f g h i j k l m n o p") {
		eventually(t, newStore(t, cluster, redislimit.Config{}))
		if _, err := alone.Take(t.Context(), key, 1, limits); err != nil {
			require.ErrorContains(t, err, "MOVED: it is part of a cluster")
			require.NotContains(t, err.Error(), "127.0.0.1")
			refused++
		}
	}
	require.Positive(t, refused)
}

// A cluster that has lost slots serves none of its keys, whichever client asks.
func TestClusterThatIsDown(t *testing.T) {
	n := startNode(t, "--cluster-node-timeout", "500") // as long it waits before it is up again
	admin := clientOf(t, n.Address())
	do(t, admin, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	for name, client := range map[string]func() redis.UniversalClient{
		"plain client": func() redis.UniversalClient { return clientOf(t, n.Address()) },
		"cluster's client": func() redis.UniversalClient {
			return redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{n.Address()}, MaxRedirects: 1, DialerRetries: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := client()
			defer c.Close()
			s := newStore(t, c, redislimit.Config{OnFailure: redislimit.Closed, Prefix: name})
			eventually(t, s)
			var cost toll
			c.AddHook(&cost)
			cost.call(take(t, s, 1, limitOf(2, day))[0].Admitted)
			do(t, admin, "CLUSTER", "DELSLOTSRANGE", 0, 16383)
			var err error
			require.Eventually(t, func() bool { // until the server has noticed itself
				_, err = s.Take(t.Context(), "alice", 0, limitOf(2, day))
				return err != nil
			}, patience, 5*time.Millisecond)
			require.ErrorContains(t, err, "CLUSTERDOWN: the cluster is down")
			require.NotContains(t, err.Error(), "127.0.0.1")
			require.NotEqual(t, policy.Closed, s.Stats().State)
			cost.call(promised(redislimit.Closed, err))
			do(t, admin, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
			eventually(t, s)
			cost.call(take(t, s, 1, limitOf(2, day))[0].Admitted)
			cost.call(!take(t, s, 1, limitOf(2, day))[0].Admitted)
			cost.survived(t, "cluster down, "+name)
		})
	}
}
