package generation

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// conn is a connection that its generation knows of.
type conn struct {
	net.Conn
	generation *generation
	born       int64
	expires    int64

	protocol  atomic.Int32
	requests  atomic.Int64
	busy      atomic.Int64 // exchanges that it carries
	idleSince atomic.Int64
	idleRead  atomic.Int64 // when something came that nobody had asked for
	marked    atomic.Bool  // the server was asked to close it
	leaving   atomic.Bool  // the server said that it closes it
	fate      atomic.Int32
}

// The fates of a connection.
const (
	held     int32 = iota
	closed         // by net/http or by its generation
	detached       // kept by whoever upgraded it
)

// Protocols.
const (
	unknown int32 = iota
	http1
	http2
)

var protocolNames = [...]string{unknown: "", http1: "http/1.1", http2: "h2"}

// Read watches for the server that closes an idle connection.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.busy.Load() > 0 {
		return n, err
	}
	switch {
	case n > 0: // under TLS, the alert that says so
		c.idleRead.Store(clock())
	case c.fate.Load() == held && (err == io.EOF || errors.Is(err, syscall.ECONNRESET)):
		c.left(clock())
	}
	return n, err
}

// ReadFrom lets uploads go through the connection's own.
func (c *conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// Close never blocks: net/http calls it with the lock held that all its
// requests need.
func (c *conn) Close() error {
	if !c.fate.CompareAndSwap(held, closed) {
		return c.closeDetached()
	}
	at := c.idleRead.Load()
	abandoned := at != 0 && at >= c.idleSince.Load() && c.busy.Load() == 0
	c.generation.untrack(c)
	go func() {
		defer c.generation.settle()
		if abandoned { // it may rotate, for which net/http wants the locks that it holds in Close
			c.left(at)
		}
		_ = c.Conn.Close()
	}()
	return nil
}

func (c *conn) closeDetached() error {
	if c.fate.Load() == detached {
		return c.Conn.Close()
	}
	return nil
}

// CloseWrite closes the writing half, where the connection knows how: those who
// upgrade it ask for that.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn returns the connection underneath.
func (c *conn) NetConn() net.Conn { return c.Conn }

// trackedConn finds the tracked connection in what net/http uses; nil where a
// layer in between hides it.
func trackedConn(nc net.Conn) *conn {
	for {
		switch layer := nc.(type) {
		case *conn:
			return layer
		case interface{ NetConn() net.Conn }:
			nc = layer.NetConn()
		default:
			return nil
		}
	}
}

// learn notes, once, which protocol is spoken over nc, which is c or a layer
// over it.
func (c *conn) learn(nc net.Conn) {
	if c.protocol.Load() != unknown {
		return
	}
	protocol := http1
	switch layer := nc.(type) {
	case *tls.Conn:
		if layer.ConnectionState().NegotiatedProtocol == "h2" {
			protocol = http2
		}
	case *conn:
		if c.generation.clear {
			protocol = http2
		}
	}
	c.protocol.Store(protocol)
}

// pick and drop count an exchange in and out. net/http may give a connection to
// the next exchange before the one before it has ended here.
func (c *conn) pick() {
	c.busy.Add(1)
	c.requests.Add(1)
}

func (c *conn) drop() {
	c.idleSince.Store(clock())
	c.busy.Add(-1)
}

// left notes that the server closed the connection while it was idle.
func (c *conn) left(at int64) {
	if c.marked.Load() || c.leaving.Load() || c.requests.Load() == 0 || c.protocol.Load() != http1 {
		return
	}
	c.generation.set.observe(at, time.Duration(at-c.idleSince.Load()))
}

// detach lets the connection go: whoever upgraded it keeps it.
func (c *conn) detach() {
	if c.fate.CompareAndSwap(held, detached) {
		c.generation.untrack(c)
		c.generation.settle()
	}
}

// note tells that the connection leaves.
func (c *conn) note(cause context.Context, why policy.Reason) {
	c.generation.set.config.Watch.Note(cause, policy.Decision{
		Action: policy.ActionRetire, Reason: why, Age: time.Duration(clock() - c.born),
	})
}
