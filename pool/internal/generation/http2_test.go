package generation

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// together sends n requests at once and returns the failures.
func together(c *http.Client, url string, n int) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failure error
	for range n {
		wg.Go(func() {
			if err := sized(c, url, 0); err != nil {
				mu.Lock()
				failure = err
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return failure
}

func TestColdStartOverHTTP2DialsTwice(t *testing.T) {
	for _, kind := range []string{"h2", "h2c"} {
		t.Run(kind, func(t *testing.T) {
			u := newUpstream(t, kind, echo)
			base := u.base()
			dials := countDials(base)
			s := New(Config{Base: base, Address: u.address()})
			require.NoError(t, together(client(s), u.URL, 100))
			require.LessOrEqual(t, dials.Load(), int64(2))
			u.requireDrained(t, s)
		})
	}
}

func TestColdStartOverHTTP1IsNotHeldBack(t *testing.T) {
	var waiting atomic.Int64
	all := make(chan struct{})
	u := newUpstream(t, "h1+tls", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if waiting.Add(1) == 30 {
			close(all)
		}
		<-all
	}))
	s := New(Config{Base: u.base(), Address: u.address()})
	require.NoError(t, together(client(s), u.URL, 30), "each needs a connection of its own")
	require.Equal(t, 30, u.dialled())
	u.requireDrained(t, s)
}

func TestHTTP2DialsMoreOnDemand(t *testing.T) {
	var streams atomic.Int64
	all := make(chan struct{})
	u := newUpstream(t, "h2", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if streams.Add(1) == 100 {
			close(all)
		}
		<-all
	}), func(s *http.Server) { s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 10} })
	base := u.base()
	dials := countDials(base)
	s := New(Config{Base: base, Address: u.address()})
	require.NoError(t, together(client(s), u.URL, 100))
	require.GreaterOrEqual(t, dials.Load(), int64(10))
	// A dial that takes longer than 50 ms, as on a machine that is busy, has another
	// beside it.
	require.LessOrEqual(t, dials.Load(), int64(30), "far fewer than one for each")
	u.requireDrained(t, s)
}

// Pool trap 19: with net/http's own limit this hangs.
func TestPoolTrap19LimitOfTheBaseIsNotTaken(t *testing.T) {
	u := newUpstream(t, "h2", echo)
	base := u.base()
	base.MaxConnsPerHost = 1
	s := New(Config{Base: base, Address: u.address()})
	require.NoError(t, together(client(s), u.URL, 300))
	u.requireDrained(t, s)
}

func TestDialsThatFailHoldNobodyBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &http.Transport{ForceAttemptHTTP2: true}
		base.DialContext = func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(30 * time.Second)
			return nil, errBroken
		}
		s := New(Config{Base: base})
		began := time.Now()
		require.ErrorIs(t, together(client(s), "https://upstream/", 50), errBroken)
		require.LessOrEqual(t, time.Since(began), time.Minute)
		require.NoError(t, s.Close(t.Context()))
	})
}

func countDials(base *http.Transport) *atomic.Int64 {
	var dials atomic.Int64
	dial := new(net.Dialer)
	base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return dial.DialContext(ctx, network, addr)
	}
	return &dials
}

// hole is a connection that nothing comes out of any more, once it is open.
type hole struct {
	net.Conn
	open   *atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func (h *hole) Write(p []byte) (int, error) {
	if h.open.Load() {
		return len(p), nil
	}
	return h.Conn.Write(p)
}

func (h *hole) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if h.open.Load() {
		<-h.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (h *hole) Close() error {
	h.once.Do(func() { close(h.closed) })
	return h.Conn.Close()
}

// Pool trap 18.
func TestPoolTrap18DeadHTTP2ConnectionIsLeft(t *testing.T) {
	const after, timeout = 3 * time.Second, 2 * time.Second
	synctest.Test(t, func(t *testing.T) {
		m, open := newMemory(), new(atomic.Bool)
		m.through = func(c net.Conn) net.Conn {
			return &hole{Conn: c, open: open, closed: make(chan struct{})}
		}
		s := New(Config{
			Base:      m.serve(t, echo, (*http.Protocols).SetUnencryptedHTTP2),
			PingAfter: after, PingTimeout: timeout,
		})
		c := client(s)
		get(t, c, "http://upstream/")
		open.Store(true)
		m.through = nil
		died := time.Now()
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			_, err := fetch(c, request(t, "http://upstream/").WithContext(ctx))
			cancel()
			if err == nil {
				break
			}
		}
		require.LessOrEqual(t, time.Since(died), after+timeout+time.Second)
		require.NoError(t, s.Close(t.Context()))
	})
}

func TestZeroTransportSpeaksHTTP2AsItDoesByDefault(t *testing.T) {
	u := newUpstream(t, "h2", echo)
	base := &http.Transport{TLSClientConfig: u.base().TLSClientConfig, Protocols: nil, ForceAttemptHTTP2: true}
	s := New(Config{Base: base, Address: u.address()})
	get(t, client(s), u.URL)
	require.Equal(t, "h2", s.Stats().Conns[0].Protocol)
	u.requireDrained(t, s)
	require.True(t, speaksHTTP2(Config{}.transport(new(http.Transport), 0)))
	require.False(t, speaksHTTP2(Config{}.transport(&http.Transport{DialContext: new(net.Dialer).DialContext}, 0)))
}
