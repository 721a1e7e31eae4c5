package generation

import (
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
	"github.com/magnetar-go/magnetar/pool/internal/watch"
)

// ledger is an owner that counts.
type ledger struct {
	headers, ended, failed atomic.Int64
}

func (l *ledger) Headers(*Exchange, *http.Response, error) { l.headers.Add(1) }

func (l *ledger) Ended(_ *Exchange, err error) {
	l.ended.Add(1)
	if err != nil {
		l.failed.Add(1)
	}
}

// tripper is a set as a RoundTripper.
type tripper struct {
	*Set
	owner Owner
}

func (t tripper) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.Set.RoundTrip(req, t.owner, time.Now(), policy.Permit{})
}

// upstream is a server that knows its connections.
type upstream struct {
	*httptest.Server
	mu     sync.Mutex
	states map[net.Conn]http.ConnState
	dials  int
}

// kind of server: "h1", "h1+tls", "h2" or "h2c".
func newUpstream(t *testing.T, kind string, h http.Handler, configure ...func(*http.Server)) *upstream {
	t.Helper()
	u := &upstream{Server: httptest.NewUnstartedServer(h), states: make(map[net.Conn]http.ConnState)}
	u.Config.ConnState = u.watch
	u.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, f := range configure {
		f(u.Config)
	}
	switch kind {
	case "h1":
		u.Start()
	case "h1+tls":
		u.StartTLS()
	case "h2":
		u.EnableHTTP2 = true
		u.StartTLS()
	case "h2c":
		u.Config.Protocols = new(http.Protocols)
		u.Config.Protocols.SetUnencryptedHTTP2(true)
		u.Start()
	}
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) watch(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch state {
	case http.StateNew:
		u.dials++
		u.states[c] = state
	case http.StateClosed, http.StateHijacked:
		delete(u.states, c)
	default:
		u.states[c] = state
	}
}

func (u *upstream) open() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.states)
}

func (u *upstream) dialled() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.dials
}

// base is a transport that trusts the server.
func (u *upstream) base() *http.Transport {
	base := u.Client().Transport.(*http.Transport).Clone()
	base.IdleConnTimeout = 30 * time.Second
	if p := u.Config.Protocols; p != nil && p.UnencryptedHTTP2() {
		base.Protocols = p
	}
	return base
}

func (u *upstream) address() string { return u.Listener.Addr().String() }

// requireDrained closes the set and requires that the server sees all
// connections go within a second.
func (u *upstream) requireDrained(t *testing.T, s *Set) {
	t.Helper()
	require.NoError(t, closeSet(s))
	require.Eventually(t, func() bool { return u.open() == 0 }, time.Second, 5*time.Millisecond, "connections leaked")
}

func closeSet(s *Set) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.Close(ctx)
}

func client(s *Set) *http.Client { return &http.Client{Transport: tripper{s, new(ledger)}} }

// fetch reads a response to its end.
func fetch(c *http.Client, req *http.Request) (string, error) {
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	text, err := fetch(c, req)
	require.NoError(t, err)
	return text
}

func post(t *testing.T, c *http.Client, url, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	text, err := fetch(c, req)
	require.NoError(t, err)
	return text
}

// recorder keeps decisions.
type recorder struct {
	mu   sync.Mutex
	seen []policy.Decision
}

func (r *recorder) Observe(_ context.Context, d policy.Decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, d)
}

func (r *recorder) watch() watch.Watch { return watch.New(r) }

func (r *recorder) of(a policy.Action, why policy.Reason) (found []policy.Decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.seen {
		if d.Action == a && (why == "" || d.Reason == why) {
			found = append(found, d)
		}
	}
	return found
}

var errBroken = errors.New("broken")

// echo reads first: over HTTP/1 the server gives up the body when it answers.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
})

// remote answers with the address that the request came from.
var remote = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, r.RemoteAddr)
})
