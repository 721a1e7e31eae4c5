package pool_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

// network is servers at addresses, connected by pipes, so that it works in a
// bubble.
type network struct {
	mu      sync.Mutex
	servers map[string]*pipeListener
	dials   map[string]int
	running []*http.Server
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{servers: map[string]*pipeListener{}, dials: map[string]int{}}
	t.Cleanup(func() {
		for _, s := range n.running {
			s.Close()
		}
	})
	return n
}

// serve runs a server at "ip:port".
func (n *network) serve(address string, h http.HandlerFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	n.servers[address] = l
	s := &http.Server{Handler: h}
	n.running = append(n.running, s)
	go s.Serve(l)
}

// kill has connections to address refused.
func (n *network) kill(address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.servers, address)
}

func (n *network) dialled(address string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials[address]
}

func (n *network) base() *http.Transport {
	return &http.Transport{DialContext: n.dial}
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.servers[address]
	n.dials[address]++
	n.mu.Unlock()
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// names is a resolver whose answers change.
type names struct {
	mu    sync.Mutex
	list  []string
	err   error
	asked int
}

func (n *names) Resolve(context.Context, string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	return n.list, n.err
}

func (n *names) set(err error, list ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list, n.err = list, err
}

func (n *names) lookups() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

// decisions records what is decided.
type decisions struct {
	mu   sync.Mutex
	list []policy.Decision
}

func (d *decisions) Observe(_ context.Context, one policy.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, one)
}

func (d *decisions) count(a policy.Action, why policy.Reason) int { return len(d.of(a, why)) }

func (d *decisions) of(a policy.Action, why policy.Reason) (found []policy.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.list {
		if one.Action == a && one.Reason == why {
			found = append(found, one)
		}
	}
	return found
}

// newTransport is closed with the test; opts come last.
func newTransport(t *testing.T, cfg pool.TransportConfig, opts ...pool.TransportOption) *pool.Transport {
	t.Helper()
	pt, err := pool.NewTransport(cfg, append([]pool.TransportOption{pool.WithTelemetry(nil)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pt.Close()) })
	return pt
}

// get returns the status and the body, or the error.
func get(ctx context.Context, rt http.RoundTripper, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// spread sends n requests one after the other, and counts the answers by body or
// status.
func spread(t *testing.T, rt http.RoundTripper, url string, n int) map[string]int {
	t.Helper()
	answers := map[string]int{}
	for range n {
		_, body, err := get(t.Context(), rt, url)
		switch {
		case errors.Is(err, policy.ErrConnectionCreation), err != nil:
			answers["error"]++
		default:
			answers[body]++
		}
	}
	return answers
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

func sick(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, text)
	}
}

const (
	addrA = "192.0.2.1:80"
	addrB = "192.0.2.2:80"
	addrC = "192.0.2.3:80"
)

const site = "http://api.test/"
