package middleware_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

// turnedAway refuses every request whose trusted header says that no time is
// left.
func turnedAway(opts ...middleware.Option) http.Handler {
	return middleware.Deadline(middleware.DeadlineConfig{}, append(opts, everybody)...)(http.HandlerFunc(ok))
}

func TestRefusalIsAProblemThatTellsWhenToComeBack(t *testing.T) {
	rec := httptest.NewRecorder()
	turnedAway().ServeHTTP(rec, budgeted("grpc-timeout", "0m"))
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	require.Equal(t, "application/problem+json", rec.Header().Get("Content-Type"))
	require.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
	after, err := strconv.Atoi(rec.Header().Get("Retry-After"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, after, 1)
	var problem struct {
		Title  string
		Status int
		Detail string
	}
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &problem))
	require.Equal(t, http.StatusText(rec.Code), problem.Title)
	require.Equal(t, rec.Code, problem.Status)
	require.NotEmpty(t, problem.Detail)
}

func TestRefusalOfHeadHasNoBody(t *testing.T) {
	r := budgeted("grpc-timeout", "0m")
	r.Method = http.MethodHead
	rec := httptest.NewRecorder()
	turnedAway().ServeHTTP(rec, r)
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	require.Zero(t, rec.Body.Len())
	require.NotEmpty(t, rec.Header().Get("Retry-After"))
}

func TestOwnRefusalFindsRetryAfterSet(t *testing.T) {
	own := middleware.WithRefusal(func(w http.ResponseWriter, _ *http.Request, e *policy.Error) {
		require.NotEmpty(t, w.Header().Get("Retry-After"))
		require.Equal(t, policy.PolicyDeadline, e.Policy)
		http.Error(w, "sorry", http.StatusTeapot)
	})
	rec := httptest.NewRecorder()
	turnedAway(own).ServeHTTP(rec, budgeted("grpc-timeout", "0m"))
	require.Equal(t, http.StatusTeapot, rec.Code)
	require.Equal(t, "sorry\n", rec.Body.String())
}

func TestRefusalAllocatesOnlyItsError(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h, w, r := turnedAway(), plain{http.Header{}}, budgeted("grpc-timeout", "0m")
	require.LessOrEqual(t, testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) }), 1.0)
}

// countingListener counts the connections and the bytes that the server reads.
type countingListener struct {
	net.Listener

	conns, read atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.conns.Add(1)
	return &countingConn{c.(*net.TCPConn), l}, nil
}

type countingConn struct {
	*net.TCPConn

	of *countingListener
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.of.read.Add(int64(n))
	return n, err
}

func countingServer(h http.Handler) (*httptest.Server, *countingListener) {
	srv := httptest.NewUnstartedServer(h)
	l := &countingListener{Listener: srv.Listener}
	srv.Listener = l
	srv.Start()
	return srv, l
}

// Inbound trap 29.
func TestRefusedSmallBodyKeepsTheConnection(t *testing.T) {
	srv, l := countingServer(turnedAway())
	defer srv.Close()
	for range 3 {
		req, err := http.NewRequest(http.MethodPost, srv.URL, strings.NewReader(strings.Repeat("x", 64<<10)))
		require.NoError(t, err)
		req.Header.Set("Grpc-Timeout", "0m")
		resp, err := srv.Client().Do(req)
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		require.False(t, resp.Close)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
	}
	srv.Client().CloseIdleConnections()
	require.EqualValues(t, 1, l.conns.Load())
}

// Inbound trap 29.
func TestRefusedLargeUploadIsCheapAndAnswered(t *testing.T) {
	const large = 10 << 20
	for _, tt := range []struct{ name, framing string }{
		{"known length", "Content-Length: " + strconv.Itoa(large)},
		{"unknown length", "Transfer-Encoding: chunked"},
		{"waiting to go on", "Expect: 100-continue\r\nContent-Length: " + strconv.Itoa(large)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv, l := countingServer(turnedAway())
			defer srv.Close()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nGrpc-Timeout: 0m\r\n"+tt.framing+"\r\n\r\n")
			require.NoError(t, err)
			sent := make(chan struct{})
			go func() { // until the server has had enough
				defer close(sent)
				if strings.HasPrefix(tt.framing, "Expect") {
					return
				}
				part := "10000\r\n" + strings.Repeat("x", 1<<16) + "\r\n"
				for range large >> 16 {
					if _, err := io.WriteString(conn, part); err != nil {
						return
					}
				}
			}()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
			require.True(t, resp.Close)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Contains(t, string(body), "Too little time")
			conn.Close()
			<-sent
			require.Less(t, l.read.Load(), int64(1<<20))
		})
	}
}

// pipeAddr, onePipe: a listener with one connection, a pipe, so that a server
// works in a synctest bubble.
type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

type onePipe struct {
	conn chan net.Conn
	done chan struct{}
}

func (l onePipe) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l onePipe) Close() error {
	close(l.done)
	return nil
}

func (onePipe) Addr() net.Addr { return pipeAddr{} }

// Inbound trap 29.
func TestRefusedBodyThatStallsIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := onePipe{make(chan net.Conn), make(chan struct{})}
		srv := &http.Server{Handler: turnedAway()}
		served := make(chan error)
		go func() { served <- srv.Serve(l) }()
		near, far := net.Pipe()
		l.conn <- far
		began := time.Now()
		_, err := io.WriteString(near, "POST / HTTP/1.1\r\nHost: x\r\nGrpc-Timeout: 0m\r\nContent-Length: 10\r\n\r\nhalf")
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(near), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		require.True(t, resp.Close)
		require.LessOrEqual(t, time.Since(began), 100*time.Millisecond)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		_, err = near.Read(make([]byte, 1))
		require.Error(t, err) // the server has closed it
		require.LessOrEqual(t, time.Since(began), time.Second)
		near.Close()
		require.NoError(t, srv.Close())
		<-served
	})
}

func BenchmarkRefusalOfABody(b *testing.B) {
	h, w := turnedAway(), plain{http.Header{}}
	r := budgeted("grpc-timeout", "0m")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader("")), 10<<20
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
