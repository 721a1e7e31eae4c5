package generation

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// closes tells of n, each after having been idle for as long and a while after
// the one before, and returns what that taught.
func closes(s *suspicion, at *int64, n int, idle time.Duration) (learned time.Duration) {
	for range n {
		*at += int64(2*idle + time.Second)
		learned, _ = s.closed(*at, idle)
	}
	return learned
}

func TestClosesThatAgreeTeach(t *testing.T) {
	for idle, needed := range map[time.Duration]int{2 * time.Millisecond: hasty, 2 * time.Second: enough, time.Hour: enough} {
		s, at := new(suspicion), int64(0)
		require.Zero(t, closes(s, &at, needed-1, idle), idle)
		require.Equal(t, idle, closes(s, &at, 1, idle))
	}
}

func TestServerThatRestartsTeachesNothing(t *testing.T) {
	for name, c := range map[string]func(n int) (at int64, idle time.Duration){
		"all at once, though they had been idle for as long": func(n int) (int64, time.Duration) { return int64(n), 10 * time.Second },
		"slowly": func(n int) (int64, time.Duration) { return int64(n) * int64(eventTime), 10 * time.Second },
		"now and then, but never after the same time": func(n int) (int64, time.Duration) {
			return int64(n) * int64(time.Minute), time.Second << (n % 5)
		},
		"often, right after a response": func(n int) (int64, time.Duration) {
			return int64(n) * int64(time.Second), time.Duration(n*10) * time.Microsecond
		},
		"often, old connections and young ones": func(n int) (int64, time.Duration) {
			return int64(n/2)*int64(time.Second) + int64(n%2), []time.Duration{900 * time.Millisecond, 3 * time.Millisecond}[n%2]
		},
	} {
		s := new(suspicion)
		for n := range 50 {
			_, ok := s.closed(c(n + 1))
			require.False(t, ok, name)
		}
	}
}

// As it was measured with nginx: a tenth of the connections that served had been
// idle for more than 6 ms, and a reload closes those that happen to be idle.
func TestReloadsUnderLoadTeachNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) // the same each time
	served := func() time.Duration { return time.Duration(random.ExpFloat64() * float64(2500*time.Microsecond)) }
	for range 1000 {
		s, at := new(suspicion), int64(time.Second)
		for range 10 {
			for range 250 {
				s.survived(served())
			}
			for range 8 {
				_, ok := s.closed(at+random.Int64N(int64(2*eventTime)), min(served(), 240*time.Millisecond))
				require.False(t, ok)
			}
			at += int64(250 * time.Millisecond)
		}
	}
}

func TestConnectionsThatOutliveACloseSpeakAgainstIt(t *testing.T) {
	s, at := new(suspicion), int64(0)
	for range 20 {
		require.Zero(t, closes(s, &at, 1, 5*time.Millisecond))
		s.survived(20 * time.Millisecond)
	}
	for range 20 { // one of many that agree is no proof: a timer may be late
		require.Zero(t, closes(s, &at, 2, time.Second))
		s.survived(2 * time.Second)
		s.survived(2 * time.Second)
	}
	s.drop()
	require.Zero(t, closes(s, &at, 2, time.Second))
	s.survived(2 * time.Second)
	require.Zero(t, closes(s, &at, 1, time.Second))
	require.Equal(t, time.Second, closes(s, &at, 1, time.Second))
}

func TestLoweredIdleTimeoutIsLearned(t *testing.T) {
	s, at := new(suspicion), int64(0)
	require.Equal(t, time.Minute, closes(s, &at, enough, time.Minute))
	for range 1000 {
		s.survived(50 * time.Second)
	}
	require.Equal(t, 2*time.Second, closes(s, &at, enough, 2*time.Second))
}

// The server closes each connection 5 s after its second response, but not after
// the first, and so it is no idle timeout.
func TestIdleConnectionThatServedSpeaksAgainstAClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, seen := newMemory(), new(recorder)
		defer m.Close()
		go m.each(func(nc net.Conn) {
			answer(nc, "keep-alive", "keep-alive")
			time.Sleep(5 * time.Second)
		})
		s := New(Config{Base: &http.Transport{DialContext: m.dial}, Watch: seen.watch()})
		for range 40 {
			get(t, client(s), "http://upstream/")
			time.Sleep(8 * time.Second)
		}
		require.EqualValues(t, 20, m.dials.Load())
		require.Empty(t, seen.of(policy.ActionRotate, ""))
		require.NoError(t, s.Close(t.Context()))
	})
}

func TestServerThatSaysThatItClosesTeachesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, seen := newMemory(), new(recorder)
		defer m.Close()
		go m.each(func(nc net.Conn) { answer(nc, "keep-alive", "keep-alive", "close") })
		s := New(Config{Base: &http.Transport{DialContext: m.dial}, Watch: seen.watch()})
		for range 60 {
			get(t, client(s), "http://upstream/")
			time.Sleep(20 * time.Second)
		}
		require.EqualValues(t, 20, m.dials.Load())
		require.Empty(t, seen.of(policy.ActionRotate, ""))
		require.Zero(t, s.idle.suspect.count)
		require.NoError(t, s.Close(t.Context()))
	})
}

// each serves connections until there are no more.
func (m *memory) each(serve func(net.Conn)) {
	for {
		nc, err := m.Accept()
		if err != nil {
			return
		}
		go func() {
			defer nc.Close()
			serve(nc)
		}()
	}
}

// answer reads requests and says with each response how the connection goes on.
func answer(nc net.Conn, connection ...string) {
	r := bufio.NewReader(nc)
	for _, says := range connection {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nConnection: %s\r\nContent-Length: 2\r\n\r\nok", says)
	}
}

// A server that says something on an idle connection has net/http close it, with
// locks held that leaving the generation needs.
func TestLessonLearnedWhileNetHTTPClosesAConnectionFreezesNobody(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	seen := new(recorder)
	fresh := newMemory()
	base := fresh.serve(t, echo)
	next := base.DialContext
	first := make(chan net.Conn, 1)
	first <- near
	base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		select {
		case nc := <-first:
			return nc, nil
		default:
			return next(ctx, network, addr)
		}
	}
	go func() {
		_, _ = http.ReadRequest(bufio.NewReader(far))
		_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}()
	s := New(Config{Base: base, Watch: seen.watch()})
	require.Equal(t, "ok", get(t, client(s), "http://upstream/"))

	const idle = 10 * time.Second
	now := clock()
	for n := range int64(enough - 1) { // all but the last
		s.observe(now-int64(idle)*(enough-n)*2, idle)
	}
	s.current.Load().tracked()[0].idleSince.Store(now - int64(idle))
	_, _ = io.WriteString(far, "HTTP/1.1 408 Request Timeout\r\n\r\n")
	require.Eventually(t, func() bool {
		return len(seen.of(policy.ActionRotate, policy.ReasonKeepAlive)) == 1
	}, 5*time.Second, time.Millisecond, "deadlock")
	require.Empty(t, get(t, client(s), "http://upstream/"))
	require.NoError(t, closeSet(s))
}
