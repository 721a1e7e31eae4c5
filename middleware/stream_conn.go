package middleware

import (
	"context"
	"io"
	"net"

	"github.com/magnetar-go/magnetar/policy"
)

// hijacked is a connection that outlives its handler. Its place in the streams'
// lane is held until it is closed.
type hijacked struct {
	net.Conn
	place policy.Permit
}

// hijack makes the request's place conn's. Without one conn stays as it is, and
// so does the request.
func (x *exchange) hijack(conn net.Conn) net.Conn {
	x.leave()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.sampled || !x.placed || x.ended {
		return conn
	}
	x.kept = true
	h := &hijacked{Conn: conn, place: x.ticket.place}
	if _, ok := conn.(closeWriter); ok {
		return halfHijacked{h}
	}
	return h
}

// Close closes the connection; a permit ends once, however often this is called.
func (h *hijacked) Close() error {
	defer h.place.Done(context.Background(), policy.Ignored)
	return h.Conn.Close()
}

// NetConn returns the connection itself, as (*tls.Conn).NetConn does.
func (h *hijacked) NetConn() net.Conn { return h.Conn }

// ReadFrom and WriteTo keep splice and sendfile.

func (h *hijacked) ReadFrom(r io.Reader) (int64, error) { return io.Copy(h.Conn, r) }
func (h *hijacked) WriteTo(w io.Writer) (int64, error)  { return io.Copy(w, h.Conn) }

type closeWriter interface{ CloseWrite() error }

// halfHijacked is a connection that can be closed for writing alone, as that of
// a tunnel is.
type halfHijacked struct{ *hijacked }

func (h halfHijacked) CloseWrite() error { return h.Conn.(closeWriter).CloseWrite() }
