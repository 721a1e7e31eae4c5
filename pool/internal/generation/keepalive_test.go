package generation

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestKeepAliveHeaderIsRead(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"timeout=5":                    5 * time.Second,
		"timeout=5, max=100":           5 * time.Second,
		"max=3,Timeout = \"7\"":        7 * time.Second,
		"timeout=9, timeout=4":         4 * time.Second,
		"timeout=1":                    time.Second,
		"timeout=0":                    0,
		"timeout=-3":                   0,
		"timeout=99999999999999999999": 0,
		"timeout=4294967295":           0,
		"timeout=1.5":                  0,
		"timeout":                      0,
		"timeouts=5":                   0,
		"":                             0,
	} {
		got, ok := keepAlive([]string{header})
		require.Equal(t, want, got, header)
		require.Equal(t, want != 0, ok, header)
	}
}

func FuzzKeepAlive(f *testing.F) {
	for _, seed := range []string{"timeout=5, max=100", "timeout=0", "timeout=-1", `timeout="60"`, ",,=,timeout=", "timeout=18446744073709551616"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		d, ok := keepAlive([]string{header})
		require.Equal(t, ok, d > 0)
		require.LessOrEqual(t, d, longKeepAlive)
		require.Zero(t, d%time.Second)
	})
}

func TestIdleConnectionIsLeftBeforeTheServerSaysItCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, seen := newMemory(), new(recorder)
		base := m.serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Keep-Alive", "timeout=5") }))
		s := New(Config{Base: base, IdleTimeout: time.Minute, Watch: seen.watch()})
		for range 3 {
			get(t, client(s), "http://upstream/")
		}
		require.Equal(t, 4*time.Second, s.current.Load().transport.IdleConnTimeout)
		require.Len(t, seen.of(policy.ActionRotate, policy.ReasonKeepAlive), 1)
		time.Sleep(4*time.Second + time.Millisecond)
		synctest.Wait()
		require.Zero(t, m.open.Load())
		s.Rotate(t.Context(), policy.ReasonEjected, "")
		require.Equal(t, 4*time.Second, s.current.Load().transport.IdleConnTimeout, "kept over generations")
		require.NoError(t, s.Close(t.Context()))
	})
}

func TestServerThatClosesIdleConnectionsIsLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, seen := newMemory(), new(recorder)
		m.idle = 10 * time.Second
		base := m.serve(t, echo)
		s := New(Config{Base: base, Watch: seen.watch()})
		for range 3 {
			get(t, client(s), "http://upstream/")
			time.Sleep(15 * time.Second)
		}
		require.Equal(t, 8*time.Second, s.current.Load().transport.IdleConnTimeout)
		require.Len(t, seen.of(policy.ActionRotate, policy.ReasonKeepAlive), 1)
		require.NoError(t, s.Close(t.Context()))
	})
}

func TestHeldBackTimesLeaveAMargin(t *testing.T) {
	for _, c := range []struct{ known, rtt, want time.Duration }{
		{0, 0, 0},
		{10 * time.Second, 0, 8 * time.Second},
		{time.Second, 300 * time.Millisecond, 700 * time.Millisecond},
		{2 * time.Millisecond, time.Microsecond, -1},
		{time.Second, 2 * time.Second, -1},
	} {
		i := new(idleness)
		i.learn(0, c.known)
		if c.rtt > 0 {
			i.connected(c.rtt)
		}
		require.Equal(t, idleLimit(c.want), i.allowed(), fmt.Sprint(c))
	}
}

// The case that was measured: net/http alone fails a fifth of these.
func TestShortIdleTimeoutOfTheServerFailsFewRequests(t *testing.T) {
	u := newUpstream(t, "h1", echo, func(s *http.Server) { s.IdleTimeout = 2 * time.Millisecond })
	base := u.base()
	defer base.CloseIdleConnections()
	s := New(Config{Base: base, Address: u.address()})
	const requests = 300
	plain := pause(&http.Client{Transport: base}, u.URL, requests)
	learning, known := 0, false
	for round := 0; round < 10 && !known; round++ { // one is enough, where timers are on time
		learning += pause(client(s), u.URL, requests)
		known = s.current.Load().transport.DisableKeepAlives
	}
	t.Logf("plain net/http failed %d of %d, the set %d until it knew", plain, requests, learning)
	require.True(t, known)
	require.Zero(t, pause(client(s), u.URL, requests), "now it is known")
	u.requireDrained(t, s)
}

// pause sends requests one after the other, 1 to 3 ms apart, and counts failures.
func pause(c *http.Client, url string, requests int) (failed int) {
	for n := range requests {
		if err := echoed(c, url, strings.NewReader("body"), 4); err != nil {
			failed++
		}
		time.Sleep(time.Millisecond + time.Duration(n%20)*100*time.Microsecond)
	}
	return failed
}
