package generation

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// Pool trap 27.
func TestPoolTrap27NamesStayWhenAnAddressIsDialled(t *testing.T) {
	for _, kind := range []string{"h1+tls", "h2"} {
		t.Run(kind, func(t *testing.T) {
			u := newUpstream(t, kind, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Names", r.Host+" "+r.TLS.ServerName)
			}))
			s := New(Config{Base: u.base(), Address: u.address()})
			req := request(t, "https://example.com:1234/path") // the certificate's name
			resp, err := client(s).Do(req)
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, "example.com:1234 example.com", resp.Header.Get("X-Names"))
			require.Equal(t, "https://example.com:1234/path", resp.Request.URL.String())
			_, err = client(s).Do(request(t, "https://else.where/"))
			require.ErrorAs(t, err, new(*tls.CertificateVerificationError))
			u.requireDrained(t, s)
		})
	}
}

// Pool trap 28.
func TestPoolTrap28SessionsOutliveAGeneration(t *testing.T) {
	for _, kind := range []string{"h1+tls", "h2"} {
		t.Run(kind, func(t *testing.T) {
			u := newUpstream(t, kind, echo)
			base := u.base()
			base.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(8)
			s := New(Config{Base: base, Address: u.address()})
			resumed := func() bool {
				resp, err := client(s).Do(request(t, u.URL))
				require.NoError(t, err)
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				return resp.TLS.DidResume
			}
			require.False(t, resumed())
			s.Rotate(t.Context(), policy.ReasonRotated, "")
			require.True(t, resumed())
			u.requireDrained(t, s)
		})
	}
}

func TestHTTPWorksAsEver(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/trailer":
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "text")
			w.Header().Set("X-Sum", "1")
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
		case "/redirect":
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		default:
			echo(w, r)
		}
	})
	for _, kind := range []string{"h1", "h1+tls", "h2", "h2c"} {
		t.Run(kind, func(t *testing.T) {
			u, owner := newUpstream(t, kind, handler), new(ledger)
			base := u.base()
			base.ExpectContinueTimeout = time.Second
			s := New(Config{Base: base, Address: u.address()})
			c := &http.Client{Transport: tripper{s, owner}}

			resp, err := c.Get(u.URL + "/trailer")
			require.NoError(t, err)
			_, _ = io.ReadAll(resp.Body)
			resp.Body.Close()
			require.Equal(t, "1", resp.Trailer.Get("X-Sum"))

			for path, method := range map[string]string{"/": http.MethodHead, "/none": http.MethodGet} {
				req := request(t, u.URL+path)
				req.Method = method
				resp, err = c.Do(req)
				require.NoError(t, err)
				require.Equal(t, http.NoBody, resp.Body)
			}

			require.Equal(t, "body", post(t, c, u.URL+"/redirect", "body"))

			req := request(t, u.URL)
			req.Method, req.Body = http.MethodPost, io.NopCloser(strings.NewReader("body"))
			req.Header.Set("Expect", "100-continue")
			text, err := fetch(c, req)
			require.NoError(t, err)
			require.Equal(t, "body", text)

			require.NoError(t, sized(c, u.URL+"/hints", 0))
			require.NoError(t, echoed(c, u.URL, bytes.NewReader(make([]byte, 3<<20)), 3<<20))
			u.requireDrained(t, s)
			require.Equal(t, owner.headers.Load(), owner.ended.Load())
			require.Zero(t, owner.failed.Load())
		})
	}
}

func TestHooksOfTheCallerAreCalled(t *testing.T) {
	u := newUpstream(t, "h1", echo)
	s := New(Config{Base: u.base(), Address: u.address()})
	var got, wrote, connect atomic.Int64
	req := request(t, u.URL)
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if _, ok := info.Conn.(*net.TCPConn); ok {
				got.Add(1)
			}
		},
		WroteHeaders: func() { wrote.Add(1) },
		ConnectDone:  func(string, string, error) { connect.Add(1) },
	}))
	_, err := fetch(client(s), req)
	require.NoError(t, err)
	require.Equal(t, []int64{1, 1, 1}, []int64{got.Load(), wrote.Load(), connect.Load()})
	u.requireDrained(t, s)
}

func TestDecisionsTellOfConnections(t *testing.T) {
	u, seen := newUpstream(t, "h1", echo), new(recorder)
	s := New(Config{Base: u.base(), Address: u.address(), Watch: seen.watch()})
	get(t, client(s), u.URL)
	get(t, client(s), u.URL)
	u.requireDrained(t, s)
	require.Len(t, seen.of(policy.ActionCreate, ""), 1)
	acquired := seen.of(policy.ActionAcquire, "")
	require.Len(t, acquired, 2)
	require.False(t, acquired[0].Reused)
	require.Positive(t, acquired[0].Took)
	require.True(t, acquired[1].Reused)
	require.Zero(t, acquired[1].Took)
	require.Positive(t, acquired[1].Age)
}

// told remembers in which order it was told.
type told struct {
	mu   sync.Mutex
	seen []error
	x    *Exchange
}

func (o *told) Headers(x *Exchange, _ *http.Response, err error) { o.note(x, err) }
func (o *told) Ended(x *Exchange, err error)                     { o.note(x, err) }

func (o *told) note(x *Exchange, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen, o.x = append(o.seen, err), x
}

func TestOwnerIsToldOnceHowItEnds(t *testing.T) {
	u := newUpstream(t, "h1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/dies" {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "all")
	}))
	base := u.base()
	s := New(Config{Base: base, Address: u.address()})
	for name, c := range map[string]struct {
		path string
		use  func(io.ReadCloser)
		err  error
	}{
		"read":   {"/", func(b io.ReadCloser) { _, _ = io.ReadAll(b); b.Close(); b.Close() }, nil},
		"closed": {"/", func(b io.ReadCloser) { b.Close(); _, _ = b.Read(make([]byte, 1)) }, nil},
		"dies":   {"/dies", func(b io.ReadCloser) { _, _ = io.ReadAll(b); b.Close() }, io.ErrUnexpectedEOF},
	} {
		owner := new(told)
		resp, err := tripper{s, owner}.RoundTrip(request(t, u.URL+c.path))
		require.NoError(t, err, name)
		require.Len(t, owner.seen, 1, name)
		c.use(resp.Body)
		require.Len(t, owner.seen, 2, name)
		require.ErrorIs(t, owner.seen[1], c.err, name)
		require.True(t, owner.x.Connected, name)
	}
	u.requireDrained(t, s)
}

func TestDialErrorEndsTheExchange(t *testing.T) {
	base := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errBroken }}
	s, owner, body := New(Config{Base: base}), new(told), new(closeCounter)
	for range 2 {
		req := request(t, "http://upstream/")
		req.Method, req.Body = http.MethodPost, body
		_, err := tripper{s, owner}.RoundTrip(req) //nolint:bodyclose // there is none
		require.Error(t, err)
		require.Len(t, owner.seen, 2)
		require.Equal(t, owner.seen[0], owner.seen[1])
		require.EqualValues(t, 1, body.closed.Swap(0))
		require.False(t, owner.x.Connected)
		owner.seen = nil
		require.NoError(t, closeSet(s)) // and once more, refused
	}
}

// The dial that was begun for it goes on, and may look at the request no more:
// what says so is the race detector.
func TestRequestThatFailedIsTheCallersAgain(t *testing.T) {
	base := &http.Transport{ForceAttemptHTTP2: true}
	base.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, errBroken }
	s := New(Config{Base: base})
	g := s.current.Load()
	g.mu.Lock() // holds the dial at its start
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req := request(t, "https://upstream/").WithContext(ctx)
	_, err := tripper{s, new(ledger)}.RoundTrip(req) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, context.DeadlineExceeded)
	g.mu.Unlock()
	req.Header.Set("Upgrade", "later")
	time.Sleep(10 * time.Millisecond) // for the dial to go on; it has nothing to tell
	require.NoError(t, closeSet(s))
}

func TestDialerThatEndsItsGoroutineHoldsNobody(t *testing.T) {
	base := new(http.Transport)
	base.DialContext = func(context.Context, string, string) (net.Conn, error) {
		runtime.Goexit()
		return nil, nil
	}
	s := New(Config{Base: base})
	_, err := s.current.Load().dialAside(t.Context())
	require.ErrorIs(t, err, errUnwound)
	require.NoError(t, closeSet(s))
	require.Zero(t, s.Stats().Generations)
}

// dialAside dials on a goroutine of its own, as net/http does.
func (g *generation) dialAside(ctx context.Context) (nc net.Conn, err error) {
	err = errUnwound
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err = g.dial(ctx, "tcp", "upstream:80")
	}()
	<-done
	return nc, err
}

type closeCounter struct{ closed atomic.Int64 }

func (b *closeCounter) Read([]byte) (int, error) { return 0, io.EOF }

func (b *closeCounter) Close() error {
	b.closed.Add(1)
	return nil
}

func TestPanicAndGoexitOfAHookEndTheExchange(t *testing.T) {
	u := newUpstream(t, "h1", echo)
	for name, leave := range map[string]func(){"panic": func() { panic(errBroken) }, "goexit": runtime.Goexit} {
		s, owner := New(Config{Base: u.base(), Address: u.address()}), new(ledger)
		done, req := make(chan any), request(t, u.URL)
		go func() {
			defer func() { done <- recover() }()
			ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { leave() }})
			resp, err := tripper{s, owner}.RoundTrip(req.WithContext(ctx))
			if err == nil {
				resp.Body.Close()
			}
		}()
		if v := <-done; name == "panic" {
			require.Equal(t, errBroken, v, "raised again")
		}
		require.EqualValues(t, 1, owner.headers.Load(), name)
		require.EqualValues(t, 1, owner.ended.Load(), name)
		require.Zero(t, s.Stats().InFlight)
		require.NoError(t, closeSet(s))
	}
	require.Eventually(t, func() bool { return u.open() == 0 }, time.Second, 5*time.Millisecond)
}

func TestRebaseTakesOtherSettings(t *testing.T) {
	u := newUpstream(t, "h1+tls", echo)
	s := New(Config{Base: new(http.Transport), Address: u.address()})
	_, err := client(s).Do(request(t, u.URL)) //nolint:bodyclose // there is none
	require.ErrorAs(t, err, new(*tls.CertificateVerificationError))
	s.Rebase(t.Context(), u.base(), policy.ReasonRotated, "")
	get(t, client(s), u.URL)
	stats := s.Stats()
	require.Len(t, stats.Conns, 1)
	require.Equal(t, "http/1.1", stats.Conns[0].Protocol)
	require.Equal(t, 1, stats.Conns[0].Requests)
	require.Zero(t, stats.Conns[0].Expires)
	u.requireDrained(t, s)
}

func TestClosedSetRefuses(t *testing.T) {
	s := New(Config{Base: new(http.Transport)})
	require.NoError(t, closeSet(s))
	_, err := client(s).Get("http://upstream/") //nolint:bodyclose // there is none
	require.ErrorIs(t, err, policy.ErrClosed)
	require.NotErrorIs(t, err, context.Canceled)
	s.Rotate(t.Context(), policy.ReasonRotated, "")
	require.Zero(t, s.Stats().Generations)
}

// breaking is an owner that panics once the headers are there.
type breaking struct{ ledger }

func (b *breaking) Headers(x *Exchange, resp *http.Response, err error) {
	b.ledger.Headers(x, resp, err)
	panic(errBroken)
}

func TestResponseOfAnOwnerThatPanicsIsClosed(t *testing.T) {
	gone := make(chan struct{})
	u := newUpstream(t, "h1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		<-r.Context().Done() // for as long as the client stays
		close(gone)
	}))
	s, owner := New(Config{Base: u.base(), Address: u.address()}), new(breaking)
	require.PanicsWithValue(t, errBroken, func() {
		_, _ = tripper{s, owner}.RoundTrip(request(t, u.URL)) //nolint:bodyclose // there is none
	})
	<-gone
	require.EqualValues(t, 1, owner.headers.Load())
	require.EqualValues(t, 1, owner.ended.Load())
	require.Zero(t, s.Stats().InFlight)
	u.requireDrained(t, s)
}
