package generation

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// Pool trap 5.
func TestPoolTrap05CallersRequestIsNeverChanged(t *testing.T) {
	u := newUpstream(t, "h1", remote)
	s := New(Config{Base: u.base(), Address: u.address(), MaxLifetime: time.Nanosecond})
	header := http.Header{"X-Own": {"1"}, "Connection": {"keep-alive"}}
	for range 5 {
		req := request(t, u.URL)
		req.Method, req.Body = http.MethodPost, io.NopCloser(strings.NewReader("body"))
		req.Header = header
		before, kept := *req, maps.Clone(header)
		resp, err := tripper{s, new(ledger)}.RoundTrip(req)
		require.NoError(t, err)
		require.Same(t, req, resp.Request)
		resp.Body.Close()
		require.Equal(t, before, *req)
		require.Equal(t, kept, header)
	}
	u.requireDrained(t, s)
}

// Pool trap 6: net/http looks at its own copy of a request with a body.
func TestPoolTrap06RequestWithBodyRetiresAnOldConnection(t *testing.T) {
	for _, kind := range []string{"h1", "h1+tls", "h2"} {
		t.Run(kind, func(t *testing.T) {
			u, seen := newUpstream(t, kind, remote), new(recorder)
			s := New(Config{Base: u.base(), Address: u.address(), MaxLifetime: time.Nanosecond, Watch: seen.watch()})
			first := get(t, client(s), u.URL)
			require.Equal(t, first, post(t, client(s), u.URL, "body"), "marked")
			require.NotEqual(t, first, post(t, client(s), u.URL, "body"), "left")
			require.Len(t, seen.of(policy.ActionRetire, policy.ReasonLifetime), 1)
			require.Empty(t, seen.of(policy.ActionRotate, ""))
			u.requireDrained(t, s)
		})
	}
}

// Pool trap 7.
func TestPoolTrap07UpgradeKeepsItsHeaderAndItsConnection(t *testing.T) {
	u := newUpstream(t, "h1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			return
		}
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+
			r.Header.Get("Upgrade")+"\r\nX-Connection: "+strings.Join(r.Header["Connection"], "|")+"\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(nc, line)
	}))
	s := New(Config{Base: u.base(), Address: u.address(), MaxLifetime: time.Nanosecond})
	get(t, client(s), u.URL) // leaves a connection that is past its time
	req := request(t, u.URL)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "line")
	resp, err := tripper{s, new(ledger)}.RoundTrip(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	require.Equal(t, "Upgrade", resp.Header.Get("X-Connection"))
	body, ok := resp.Body.(io.ReadWriteCloser)
	require.True(t, ok)
	require.NoError(t, closeSet(s), "the connection is the caller's now")
	_, err = io.WriteString(body, "hello\n")
	require.NoError(t, err)
	text, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Equal(t, "hello\n", string(text))
	require.NoError(t, body.Close())
}

// Pool trap 8.
func TestPoolTrap08ServerThatIgnoresCloseIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, seen := newMemory(), new(recorder)
		defer m.Close()
		go func() {
			for {
				nc, err := m.Accept()
				if err != nil {
					return
				}
				go answerForEver(nc)
			}
		}()
		base := &http.Transport{DialContext: m.dial}
		s := New(Config{Base: base, MaxLifetime: time.Second, LifetimeJitter: 0.1, Watch: seen.watch()})
		for range 30 {
			get(t, client(s), "http://upstream/")
			time.Sleep(100 * time.Millisecond)
		}
		require.Greater(t, m.dials.Load(), int64(1))
		require.NotEmpty(t, seen.of(policy.ActionRotate, policy.ReasonIgnoredClose))
		require.Len(t, s.Stats().Conns, 1)
		require.NoError(t, s.Close(t.Context()))
	})
}

func answerForEver(nc net.Conn) {
	defer nc.Close()
	for r := bufio.NewReader(nc); ; {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		if _, err := io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return
		}
	}
}

// Pool trap 9: drawn at every look, the earliest expiry would win.
func TestPoolTrap09ExpiryIsDrawnOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, seen := newMemory(), new(recorder)
		s := New(Config{
			Base:        m.serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(500 * time.Millisecond) })),
			MaxLifetime: 100 * time.Second, LifetimeJitter: 0.2, Watch: seen.watch(),
		})
		ctx, cancel := context.WithTimeout(t.Context(), 102*time.Second)
		defer cancel()
		var workers sync.WaitGroup
		for range 100 { // a connection each, looked at all the time
			workers.Go(func() {
				for c := client(s); ctx.Err() == nil; {
					get(t, c, "http://upstream/")
				}
			})
		}
		workers.Wait()
		var ages []time.Duration
		for _, d := range seen.of(policy.ActionRetire, policy.ReasonLifetime) {
			ages = append(ages, d.Age)
		}
		require.GreaterOrEqual(t, len(ages), 100)
		require.GreaterOrEqual(t, slices.Min(ages), 80*time.Second)
		require.LessOrEqual(t, slices.Max(ages), 101*time.Second)
		require.GreaterOrEqual(t, slices.Max(ages)-slices.Min(ages), 16*time.Second)
		require.NoError(t, s.Close(t.Context()))
	})
}
