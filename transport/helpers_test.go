package transport_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// roundTrip is a function as an [http.RoundTripper].
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// countingBody counts what is done to a body.
type countingBody struct {
	io.Reader
	read   atomic.Int64 // bytes
	closed atomic.Int32 // times
}

func bodyOf(r io.Reader) *countingBody { return &countingBody{Reader: r} }

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read.Add(int64(n))
	return n, err
}

func (b *countingBody) Close() error {
	b.closed.Add(1)
	return nil
}

// try is what a [peer] saw of one try.
type try struct {
	at      time.Time
	header  http.Header
	length  int64
	content string
}

// answer makes a peer's response to one try.
type answer func(*http.Request) (*http.Response, error)

// peer is a base RoundTripper without a network: it reads each request to its
// end, closes it, and gives its answers in turn, the last one for good.
type peer struct {
	answers []answer

	mu     sync.Mutex
	tries  []try
	bodies []*countingBody // of the responses
}

func newPeer(answers ...answer) *peer { return &peer{answers: answers} }

func (p *peer) RoundTrip(req *http.Request) (*http.Response, error) {
	seen := try{at: time.Now(), header: req.Header.Clone(), length: req.ContentLength}
	if req.Body != nil {
		content, err := io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
		seen.content = string(content)
	}
	p.mu.Lock()
	p.tries = append(p.tries, seen)
	a := p.answers[min(len(p.tries), len(p.answers))-1]
	p.mu.Unlock()
	resp, err := a(req)
	if resp == nil {
		return resp, err
	}
	resp.Request = req
	if resp.Body != http.NoBody {
		b := bodyOf(resp.Body)
		resp.Body = b
		p.mu.Lock()
		p.bodies = append(p.bodies, b)
		p.mu.Unlock()
	}
	return resp, err
}

func (p *peer) seen() []try {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]try(nil), p.tries...)
}

// requireClosed requires that every response body was closed exactly once.
func (p *peer) requireClosed(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, b := range p.bodies {
		require.EqualValues(t, 1, b.closed.Load(), "closes of response body %d", i+1)
	}
}

// status answers with a status, pairs of header names and values, and a body
// that says the status.
func status(code int, headers ...string) answer {
	return func(*http.Request) (*http.Response, error) {
		resp := response(code, strings.NewReader(http.StatusText(code)))
		for i := 0; i < len(headers); i += 2 {
			resp.Header.Add(headers[i], headers[i+1])
		}
		return resp, nil
	}
}

// failing answers with an error.
func failing(err error) answer {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// blackHole answers when the try is cut.
func blackHole(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

var errReset = errors.New("connection reset by the test")

func dialError() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused by the test")}
}

func response(code int, content io.Reader) *http.Response {
	return &http.Response{
		StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(content), ContentLength: -1,
	}
}

// request is a request that must be valid.
func request(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	return req
}

func get(t testing.TB) *http.Request { return request(t, http.MethodGet, "http://peer.test/", nil) }

// content reads a response to its end and closes it.
func content(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return string(b)
}

// state is that of the only key in use.
func state(t testing.TB, tr *transport.Transport) transport.KeyState {
	t.Helper()
	var all []transport.KeyState
	for s := range tr.States() {
		all = append(all, s)
	}
	require.Len(t, all, 1, "keys in use")
	return all[0]
}

// requireGivenBack requires that no call holds anything any more.
func requireGivenBack(t testing.TB, tr *transport.Transport) {
	t.Helper()
	for s := range tr.States() {
		if s.Concurrency != nil {
			require.Zero(t, s.Concurrency.InFlight, "in flight at %s", s.Key)
			require.Zero(t, s.Concurrency.Queued, "queued at %s", s.Key)
		}
		if s.Breaker != nil {
			require.Zero(t, s.Breaker.Trials, "trials at %s", s.Key)
		}
	}
}

// decisions keeps what it is told.
type decisions struct {
	mu  sync.Mutex
	all []policy.Decision
}

func (d *decisions) Observe(_ context.Context, one policy.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, one)
}

// of returns the decisions of a policy that took an action.
func (d *decisions) of(name string, action policy.Action) []policy.Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []policy.Decision
	for _, one := range d.all {
		if one.Policy == name && one.Action == action {
			found = append(found, one)
		}
	}
	return found
}

// reasons are those of [decisions.of].
func (d *decisions) reasons(name string, action policy.Action) []policy.Reason {
	var found []policy.Reason
	for _, one := range d.of(name, action) {
		found = append(found, one.Reason)
	}
	return found
}

// pipeListener is a listener whose connections are pipes, so that a server and
// an http.Transport work in a synctest bubble.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	dials atomic.Int32
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l.dials.Add(1)
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pipeServer serves h in memory until the test ends, and returns a client
// transport that reaches it under any address.
func pipeServer(t testing.TB, h http.HandlerFunc) (*http.Transport, *pipeListener) {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: h}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(l)
	}()
	base := &http.Transport{DialContext: l.dial}
	t.Cleanup(func() {
		base.CloseIdleConnections()
		_ = srv.Close()
		<-served
	})
	return base, l
}

// eachProtocol runs a test over HTTP/1.1 and over HTTP/2, both with TLS.
func eachProtocol(t *testing.T, h http.HandlerFunc, test func(t *testing.T, srv *httptest.Server)) {
	for _, p := range []struct {
		name string
		h2   bool
	}{{"h1", false}, {"h2", true}} {
		t.Run(p.name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(h)
			srv.EnableHTTP2 = p.h2
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.StartTLS()
			defer srv.Close()
			defer srv.Client().CloseIdleConnections()
			test(t, srv)
		})
	}
}

// pattern is n bytes that tell where they belong.
func pattern(n int) []byte { return bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n] }

func gzipped(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.Bytes()
}
