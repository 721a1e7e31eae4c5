package redislimit_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// A connection that ends after a call was sent may have ended after the units
// were taken: a client that repeats commands, as go-redis does unless it is told
// otherwise, must not repeat this one.
func TestWhatMayHaveBeenTakenIsNotSentAgain(t *testing.T) {
	peer := newCutter(t)
	client := redis.NewClient(&redis.Options{Addr: peer.Addr().String(), DisableIdentity: true})
	defer client.Close()
	s := newStore(t, client, redislimit.Config{Timeout: 10 * time.Second})
	_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
	require.ErrorContains(t, err, "redis: the connection broke")
	require.EqualValues(t, 1, peer.scripts.Load())
	require.NoError(t, client.Ping(t.Context()).Err(), "other commands are repeated as ever")
}

// cutter is a server that cuts the connection in the place of an answer to a
// script, and to the first PING.
type cutter struct {
	net.Listener

	scripts, pings atomic.Int64
}

func newCutter(t *testing.T) *cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cutter{Listener: l}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { c.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return c
}

func (c *cutter) serve(conn net.Conn) {
	defer conn.Close()
	for in := bufio.NewReader(conn); ; {
		words, err := readCommand(in)
		if err != nil {
			return
		}
		reply := "-ERR unknown command\r\n"
		switch strings.ToLower(words[0]) {
		case "evalsha", "eval":
			c.scripts.Add(1)
			return
		case "ping":
			if c.pings.Add(1) == 1 {
				return
			}
			reply = "+PONG\r\n"
		}
		if _, err := io.WriteString(conn, reply); err != nil {
			return
		}
	}
}

// readCommand reads an array of bulk strings.
func readCommand(in *bufio.Reader) ([]string, error) {
	n, err := readNumber(in, '*')
	words := make([]string, max(n, 0))
	for i := range words {
		size, err := readNumber(in, '$')
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(in, text); err != nil {
			return nil, err
		}
		words[i] = string(text[:size])
	}
	return words, err
}

func readNumber(in *bufio.Reader, kind byte) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != kind {
		return 0, fmt.Errorf("%q is no %q", line, kind)
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

// node is a hook for the keys of which a node is down: they have no answer.
type node struct{ down func(key string) bool }

func (node) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (node) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (n node) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if n.down(cmd.Args()[3].(string)) {
				<-ctx.Done()
				cmd.SetErr(ctx.Err())
				return ctx.Err()
			}
		}
		return next(ctx, cmds)
	}
}

func TestRedisIsNotBackBeforeTheKeysAreThatWereLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		var alice atomic.Pointer[string] // the key of which the node is down
		hooked := redis.NewClient(&redis.Options{Addr: "192.0.2.1:6379"})
		defer hooked.Close()
		hooked.AddHook(node{func(key string) bool { down := alice.Load(); return down != nil && *down == key }})
		hooked.AddHook(f)

		_, err := newStore(t, client, redislimit.Config{}).Take(t.Context(), "alice", 1, perSecond(10))
		require.NoError(t, err)
		alice.Store(&f.asked()[0])

		s := newStore(t, hooked, redislimit.Config{})
		waited := 0
		for range 60_000 { // a minute
			began := time.Now()
			_, err := s.Take(t.Context(), "alice", 1, perSecond(1000))
			require.Error(t, err)
			if time.Since(began) > 0 {
				waited++
			}
			time.Sleep(time.Millisecond)
		}
		require.Equal(t, 1, waited, "callers of a node that is down")

		alice.Store(nil)
		require.Eventually(t, func() bool {
			_, err := s.Take(t.Context(), "bob", 1, perSecond(1000))
			return err == nil && s.Stats().State == policy.Closed
		}, 3*time.Second, 10*time.Millisecond)
	})
}

// lag is a hook for the keys of which a node is slow.
type lag struct {
	slow func(key string) bool
	by   time.Duration
}

func (lag) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (lag) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (l lag) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if l.slow(cmd.Args()[3].(string)) {
				time.Sleep(l.by)
			}
		}
		return next(ctx, cmds)
	}
}

// Nor before those are fast again that were slow, where that is what the breaker minds.
func TestRedisIsNotBackBeforeTheKeysAreThatWereSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		_, err := newStore(t, client, redislimit.Config{}).Take(t.Context(), "alice", 1, perSecond(10))
		require.NoError(t, err)
		alice := f.asked()[0]
		var slow atomic.Bool
		hooked := redis.NewClient(&redis.Options{Addr: "192.0.2.1:6379"})
		defer hooked.Close()
		hooked.AddHook(lag{func(key string) bool { return slow.Load() && key == alice }, 90 * time.Millisecond})
		hooked.AddHook(f)
		s := newStore(t, hooked, redislimit.Config{Breaker: &policy.CircuitBreakerConfig{
			SlowRate: 0.5, SlowCall: 50 * time.Millisecond, MinCalls: 2, FailureRate: 0.5,
		}})
		f.set(func() { f.err = answeredError("LOADING") })
		for range 2 {
			_, err = s.Take(t.Context(), "bob", 1, perSecond(10))
			require.ErrorContains(t, err, "redis: LOADING: ")
		}
		f.set(func() { f.err = nil })
		back(t, s)
		slow.Store(true)
		waited := 0
		for range 30_000 { // half a minute
			began := time.Now()
			if _, err = s.Take(t.Context(), "alice", 1, perSecond(1000)); time.Since(began) > 0 {
				waited++
			}
			time.Sleep(time.Millisecond)
		}
		require.EqualError(t, err, "redis: not asked again yet, for: its answers are slow")
		require.LessOrEqual(t, waited, 2, "callers of a node that is slow")
		slow.Store(false)
		back(t, s)
	})
}
