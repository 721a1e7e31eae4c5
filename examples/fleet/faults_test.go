//go:build linux

package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

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

// A password that is missing or wrong, until the server is told to take it.
func TestServerThatWantsAPassword(t *testing.T) {
	d := startServer(t, "--requirepass", "secret")
	admin := redis.NewClient(&redis.Options{Addr: d.Address(), Password: "secret"})
	defer admin.Close()
	do(t, admin, "SCRIPT", "LOAD", redislimit.Script)
	for code, password := range map[string]string{"NOAUTH": "", "WRONGPASS": "changed"} {
		t.Run(code, func(t *testing.T) {
			do(t, admin, "ACL", "SETUSER", "default", "resetpass", ">secret")
			c := redis.NewClient(&redis.Options{Addr: d.Address(), Password: password, DialerRetries: 1})
			defer c.Close()
			var cost toll
			c.AddHook(&cost)
			s := newStore(t, c, redislimit.Config{OnFailure: redislimit.Closed, Prefix: code})
			_, err := s.Take(t.Context(), "alice", 1, limitOf(1, day))
			require.ErrorContains(t, err, code+": ")
			require.NotEqual(t, policy.Closed, s.Stats().State)
			cost.call(promised(redislimit.Closed, err))
			do(t, admin, "ACL", "SETUSER", "default", map[string]string{"NOAUTH": "nopass", "WRONGPASS": ">changed"}[code])
			eventually(t, s)
			cost.call(take(t, s, 1, limitOf(1, day))[0].Admitted)
			cost.survived(t, code)
		})
	}
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

// away is how a server leaves, and comes back, and where it is found.
type away struct {
	address     string
	leave, come func()
}

// A black hole, a server that is gone, and one that is slower than the timeout: it is
// waited for once, and then never.
func TestServerThatIsAwayIsLeftAlone(t *testing.T) {
	for name, start := range map[string]func(*testing.T) away{
		"black hole": func(t *testing.T) away {
			d := startServer(t)
			return away{d.Address(), func() { d.Signal(syscall.SIGSTOP) }, func() { d.Signal(syscall.SIGCONT) }}
		},
		"killed": func(t *testing.T) away {
			d := startServer(t)
			return away{d.Address(), d.Kill, func() { d.Start(arguments(d)...) }}
		},
		"slower than the timeout": func(t *testing.T) away {
			l := startNetwork(t, startServer(t).Address())
			return away{l.address, func() { l.slowDown(10 * time.Second) }, func() { l.slowDown(0) }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			var cost toll
			s := newStore(t, countedClient(t, server.address, &cost), redislimit.Config{
				Timeout: 2 * time.Second, OnFailure: redislimit.Local, Replicas: 4,
			})
			require.Equal(t, 99, take(t, s, 1, limitOf(100, day))[0].Remaining)
			server.leave()
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
			if !raceEnabled {
				require.Less(t, demo.Percentile(times, 99), time.Millisecond)
			}
			trips := s.Stats().Trips
			server.come()
			eventually(t, s)
			cost.survived(t, name)
			t.Logf("%s: the first 50 waited %v, the others %v each, p99 %v; %d trips to Redis",
				name, first.Round(time.Millisecond), rest/time.Duration(len(times)), demo.Percentile(times, 99), trips)
		})
	}
}

// A server that is slow, but within the timeout: every call is counted there, and many
// share a trip.
func TestSlowServerAnswersAll(t *testing.T) {
	l := startNetwork(t, startServer(t).Address())
	var cost toll
	s := newStore(t, countedClient(t, l.address, &cost), redislimit.Config{OnFailure: redislimit.Closed})
	take(t, s, 0, limitOf(300, day))
	l.slowDown(50 * time.Millisecond)
	var wg sync.WaitGroup
	var admitted atomic.Int64
	began := time.Now()
	for range 200 {
		wg.Go(func() {
			for range 5 {
				levels, err := s.Take(t.Context(), "alice", 1, limitOf(300, day))
				cost.call(err == nil)
				if err == nil && levels[0].Admitted {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	stats := s.Stats()
	require.EqualValues(t, 300, admitted.Load())
	require.Zero(t, stats.Without)
	require.Equal(t, policy.Closed, stats.State)
	require.Less(t, stats.Trips, stats.Calls/3)
	cost.survived(t, "slow, within the timeout")
	t.Logf("slow: 1000 calls took %v, and %d trips of 50ms", took.Round(time.Millisecond), stats.Trips)
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
