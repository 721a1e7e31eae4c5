package generation

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Owner is told how each exchange goes.
type Owner interface {
	// Headers is told once per exchange, at the response headers or the error.
	Headers(x *Exchange, resp *http.Response, err error)
	// Ended is told once per exchange, after Headers: at the error, or when the
	// response body ends, with what it ended with; nil at EOF or when it was
	// closed before. An upgraded connection ends its exchange at the headers.
	Ended(x *Exchange, err error)
}

// Exchange is one request and its response. It is also the context and the
// response body of it, so that all of them are one allocation.
type Exchange struct {
	Permit  policy.Permit  // the owner's
	Began   time.Time      // the owner's: when the request came
	Outcome policy.Outcome // the owner's: what the headers told
	Request *http.Request  // the caller's, untouched

	// Known from the first connection on, of the last one where the request was
	// sent again:

	Connected bool
	Reused    bool          // the connection had carried others
	Age       time.Duration // of the connection when the request came

	owner      Owner
	generation *generation
	parent     context.Context
	out        http.Request // what net/http gets
	ownHeader  bool         // its headers are a copy
	upload     *upload      // its body, where that needs care
	marked     bool         // they ask the server to close
	told       bool         // the owner, of the headers
	delivered  bool         // the response, to the caller
	now        int64        // when it began here
	conn       *conn
	idle       time.Duration // how long that had carried nothing

	trace        httptrace.ClientTrace
	theirGotConn func(httptrace.GotConnInfo)

	rc      io.ReadCloser // the response body underneath
	closing atomic.Bool   // by the caller

	// What dials made for it look at:

	shares  bool // another's connection will do
	dialled atomic.Bool
	picks   atomic.Int32 // connections got
	over    atomic.Bool
}

var (
	errClosed  = &policy.Error{Reason: policy.ReasonClosed, Policy: policy.PolicyPool}
	errUnwound = policy.Permanent(errors.New("the request was abandoned by a panic or Goexit")) // nothing that the peer did
)

// refuse ends an exchange that comes after Close.
func (x *Exchange) refuse() (*http.Response, error) {
	if x.Request.Body != nil {
		x.Request.Body.Close()
	}
	defer x.owner.Ended(x, errClosed)
	x.owner.Headers(x, nil, errClosed)
	return nil, errClosed
}

func (x *Exchange) run() (*http.Response, error) {
	defer x.unwind()
	x.prepare()
	resp, err := x.generation.transport.RoundTrip(&x.out)
	x.upload.settle()
	if err != nil {
		x.fail(err)
		return nil, err
	}
	resp.Request = x.Request
	x.generation.set.hear(x, resp)
	x.told, x.rc = true, resp.Body
	x.owner.Headers(x, resp, nil)
	x.wrap(resp)
	x.delivered = true
	return resp, nil
}

// prepare makes the request that net/http gets.
func (x *Exchange) prepare() {
	x.parent = x.Request.Context()
	x.now = clock()
	if theirs := httptrace.ContextClientTrace(x.parent); theirs != nil {
		x.trace, x.theirGotConn = *theirs, theirs.GotConn
	}
	x.trace.GotConn = x.gotConn
	x.out = *x.Request.WithContext((*exchangeContext)(x))
	x.shares = x.generation.shares(x.Request)
	if !x.hasBody() {
		return
	}
	if x.now >= x.generation.earliest.Load() {
		x.copyHeader() // for net/http takes its own copy of such a request, and shares the map
	}
	if x.Request.GetBody == nil && x.generation.mayShare() {
		x.upload = &upload{body: x.Request.Body}
		x.out.Body, x.out.GetBody = x.upload, x.upload.again
	}
}

// Cut reports whether the exchange ended because its connections were closed
// under it, and not by the peer.
func (x *Exchange) Cut() bool { return x.generation != nil && x.generation.dying.Err() != nil }

func (x *Exchange) hasBody() bool { return x.Request.Body != nil && x.Request.Body != http.NoBody }

func (x *Exchange) copyHeader() {
	x.out.Header = x.Request.Header.Clone()
	x.ownHeader = true
}

func (x *Exchange) fail(err error) {
	x.told = true
	defer x.end(err)
	x.owner.Headers(x, nil, err)
}

// unwind ends the exchange where a panic or runtime.Goexit ends its goroutine:
// in the caller's own hooks, or the owner's.
func (x *Exchange) unwind() {
	switch {
	case !x.told:
		x.upload.settle()
		x.fail(errUnwound)
	case !x.delivered:
		if x.rc != nil {
			x.rc.Close()
		}
		x.end(errUnwound) // does nothing where it has ended
	}
}

// end ends the exchange, once.
func (x *Exchange) end(err error) {
	if !x.over.CompareAndSwap(false, true) {
		return
	}
	defer x.generation.leave()
	x.generation.gate.ended(x, err)
	if x.conn != nil {
		x.conn.drop()
	}
	x.owner.Ended(x, err)
}
