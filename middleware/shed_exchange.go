package middleware

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// exchange is one request and its response. It is the handler's ResponseWriter
// (as writer), its request body (as body) and its context (as scope), so that
// all of it is one allocation; it is never used again, for handlers keep what
// they should not.
type exchange struct {
	shedder *Shedder
	rw      http.ResponseWriter
	req     *http.Request   // as it came
	ctx     context.Context // the request's
	told    context.Context // in which decisions are told
	rc      io.ReadCloser   // the request's body

	mu sync.Mutex
	// Guarded by mu:
	ticket   ticket
	sampled  bool // holds a permit of the main lane, whose time counts
	dropped  bool // the time does not count after all
	placed   bool // holds a place in the streams' lane
	kept     bool // a hijacked connection holds it
	ended    bool
	status   int // final; zero: not yet
	sent     int // bytes of the response; no more than tells
	flushed  time.Time
	waiting  stall
	timer    *time.Timer
	timerDue time.Time // zero: not armed
}

// serve runs the handler. What net/http and routers note on the request for
// those outside is carried over from the handler's copy: the pattern, and the
// form whose files the server removes.
func (x *exchange) serve(next http.Handler, ranked *http.Request) {
	x.placed = x.ticket.claimed || x.ticket.lane == streamLane
	inner := ranked.WithContext((*scope)(x))
	if x.sampled && inner.Body != nil && inner.Body != http.NoBody {
		x.rc = inner.Body
		inner.Body = (*body)(x)
	}
	outcome := policy.Ignored // of a panic and a runtime.Goexit
	defer func() { x.end(outcome) }()
	defer func() { x.req.Pattern, x.req.MultipartForm = inner.Pattern, inner.MultipartForm }()
	next.ServeHTTP(standIn((*writer)(x)), inner)
	x.begin(http.StatusOK)
	outcome = x.outcome()
}

// outcome is ignored where the client has gone.
func (x *exchange) outcome() policy.Outcome {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.ctx.Err() != nil || x.dropped || x.waiting.calls > 0:
		return policy.Ignored
	case x.status >= http.StatusInternalServerError:
		return policy.Failure
	}
	return policy.Success
}

// end gives back what the request holds.
func (x *exchange) end(o policy.Outcome) {
	t, ctx := x.close()
	t.permit.Done(ctx, o)
	t.place.Done(ctx, policy.Ignored)
}

// close returns what is to be given back, and the context to do it under: where
// the time does not count, neither does a deadline.
func (x *exchange) close() (ticket, context.Context) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ended = true
	if x.timer != nil {
		x.timer.Stop()
	}
	ctx := x.told
	if x.dropped || x.waiting.calls > 0 {
		ctx = context.WithoutCancel(ctx)
	}
	t := x.ticket
	if x.kept {
		t.place = policy.Permit{}
	}
	x.sampled, x.placed, x.ticket = false, false, ticket{}
	return t, ctx
}

// begin notes the response's final status, once.
func (x *exchange) begin(status int) {
	if !x.first(status) {
		return
	}
	if x.shedder.draining.Load() {
		closeAfter(x.rw, x.req)
	}
	if x.streams(status) {
		x.leave()
	}
}

func (x *exchange) first(status int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.status != 0 || x.ended {
		return false
	}
	x.status = status
	return true
}

// scope is the exchange as the context of its request, which it marks: a
// request is counted once.
type scope exchange

type scopeKey struct{ *Shedder }

func (c *scope) Deadline() (time.Time, bool) { return c.ctx.Deadline() }
func (c *scope) Done() <-chan struct{}       { return c.ctx.Done() }
func (c *scope) Err() error                  { return c.ctx.Err() }

func (c *scope) Value(key any) any {
	if k, ok := key.(scopeKey); ok && k.Shedder == c.shedder {
		return c
	}
	return c.ctx.Value(key)
}
