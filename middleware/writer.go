package middleware

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// writer is an exchange seen as the handler's ResponseWriter; [standIn] gives it
// the interfaces of the one underneath.
type writer exchange

func (w *writer) exchange() *exchange         { return (*exchange)(w) }
func (w *writer) Unwrap() http.ResponseWriter { return w.rw }
func (w *writer) Header() http.Header         { return w.rw.Header() }

// WriteHeader passes on; a 1xx is not the final status, but for 101.
func (w *writer) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		w.exchange().begin(status)
	}
	w.rw.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	x := w.exchange()
	x.begin(http.StatusOK)
	if x.buffered(len(p)) {
		return w.rw.Write(p)
	}
	x.block()
	defer x.unblock()
	return w.rw.Write(p)
}

func (w *writer) WriteString(s string) (int, error) {
	x := w.exchange()
	x.begin(http.StatusOK)
	if x.buffered(len(s)) {
		return io.WriteString(w.rw, s)
	}
	x.block()
	defer x.unblock()
	return io.WriteString(w.rw, s)
}

func (w *writer) flush() error {
	x := w.exchange()
	x.begin(http.StatusOK)
	x.flush()
	x.block()
	defer x.unblock()
	return http.NewResponseController(w.rw).Flush()
}

// readFrom keeps sendfile.
func (w *writer) readFrom(src io.Reader) (int64, error) {
	x := w.exchange()
	x.begin(http.StatusOK)
	x.block()
	defer x.unblock()
	return w.rw.(io.ReaderFrom).ReadFrom(src)
}

func (w *writer) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.rw.(http.Hijacker).Hijack()
	if err != nil {
		return conn, rw, err
	}
	return w.exchange().hijack(conn), rw, nil
}

func (w *writer) push(target string, o *http.PushOptions) error {
	return w.rw.(http.Pusher).Push(target, o)
}
