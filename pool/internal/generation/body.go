package generation

import (
	"io"
	"net/http"
)

// body is an exchange seen as its response body: the exchange ends with it.
type body Exchange

func (b *body) Read(p []byte) (int, error) {
	x := (*Exchange)(b)
	n, err := x.rc.Read(p)
	switch {
	case err == nil:
	case err == io.EOF || x.closing.Load(): // what Close does to a Read is no fault
		x.end(nil)
	default:
		x.end(err)
	}
	return n, err
}

func (b *body) Close() error {
	x := (*Exchange)(b)
	x.closing.Store(true)
	defer x.end(nil)
	return x.rc.Close()
}

// wrap makes the response's body end the exchange; a response without one ends
// it now.
func (x *Exchange) wrap(resp *http.Response) {
	if _, upgraded := resp.Body.(io.ReadWriteCloser); upgraded {
		x.handOver()
		return
	}
	if x.withoutBody(resp) {
		x.end(nil)
		return
	}
	x.rc = resp.Body
	resp.Body = (*body)(x)
}

// handOver leaves the connection of a 101 to the caller: it may outlive the
// generation, and its body is one to write to as well.
func (x *Exchange) handOver() {
	if x.conn != nil {
		x.conn.detach()
	}
	x.end(nil)
}

// withoutBody reports whether the response has no body (RFC 9110, section
// 6.4.1). Over HTTP/2 net/http gives such a one a reader of its own.
func (x *Exchange) withoutBody(resp *http.Response) bool {
	switch {
	case resp.Body == nil || resp.Body == http.NoBody:
		return true
	case x.Request.Method == http.MethodHead,
		resp.StatusCode == http.StatusNoContent, resp.StatusCode == http.StatusNotModified:
		resp.Body.Close()
		resp.Body = http.NoBody
		return true
	}
	return false
}
