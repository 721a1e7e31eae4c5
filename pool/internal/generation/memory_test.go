package generation

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// memory is a server that is reached without a network, so that its time is the
// bubble's.
type memory struct {
	conns   chan net.Conn
	done    chan struct{}
	dials   atomic.Int64
	open    atomic.Int64
	idle    time.Duration           // the server's timeout
	through func(net.Conn) net.Conn // what the client's end goes through, or nil
	before  func(context.Context)   // run before a dial ends, or nil
}

func newMemory() *memory { return &memory{conns: make(chan net.Conn), done: make(chan struct{})} }

// serve answers with h until the test ends.
func (m *memory) serve(t *testing.T, h http.Handler, protocols ...func(*http.Protocols, bool)) *http.Transport {
	server := &http.Server{Handler: h, IdleTimeout: m.idle, ErrorLog: log.New(io.Discard, "", 0), ConnState: func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			m.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			m.open.Add(-1)
		}
	}}
	base := &http.Transport{DialContext: m.dial}
	for _, set := range protocols {
		p := new(http.Protocols)
		set(p, true)
		server.Protocols, base.Protocols = p, p
	}
	go func() { _ = server.Serve(m) }()
	t.Cleanup(func() { server.Close() })
	return base
}

func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	m.dials.Add(1)
	if m.before != nil {
		m.before(ctx)
	}
	near, far := net.Pipe()
	select {
	case m.conns <- far:
	case <-m.done:
		return nil, net.ErrClosed
	}
	if m.through != nil {
		near = m.through(near)
	}
	return near, nil
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	close(m.done)
	return nil
}

func (m *memory) Addr() net.Addr { return &net.TCPAddr{} }
