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
// (as writer) and its request body (as body), so that all of it is one
// allocation; it is never used again, for handlers keep what they should not.
type exchange struct {
	shedder *Shedder
	rw      http.ResponseWriter
	req     *http.Request   // as it came
	told    context.Context // in which decisions are told; ends with the request's
	rc      io.ReadCloser   // the request's body

	mu sync.Mutex
	// Guarded by mu:
	ticket   ticket
	began    time.Time // the handler; zero where nobody wants to know how long it took, or it says nothing
	sampled  bool      // holds a permit of the main lane, whose time counts
	dropped  bool      // the time does not count after all
	placed   bool      // holds a place in the streams' lane
	kept     bool      // a hijacked connection holds it
	ended    bool
	status   int // final; zero: not yet
	sent     int // bytes of the response; no more than tells
	flushed  time.Time
	waiting  stall
	timer    *time.Timer
	timerDue time.Time // zero: not armed
}

// serve runs the handler.
func (x *exchange) serve(next http.Handler, r *http.Request) {
	x.placed = x.ticket.claimed || x.ticket.lane == streamLane
	if x.sampled && r.Body != nil && r.Body != http.NoBody {
		r = x.watching(r)
	}
	if x.shedder.results != nil && x.ticket.lane == mainLane {
		x.began = time.Now()
	}
	outcome := policy.Ignored // of a panic and a runtime.Goexit
	defer func() {
		carryOver(x.req, r)
		x.end(outcome)
		x.tellResult(outcome)
	}()
	next.ServeHTTP(standIn((*writer)(x)), r)
	x.begin(http.StatusOK)
	outcome = x.outcome()
}

// watching is r with a body that tells when it waits for the client; r itself
// only where that is a copy already.
func (x *exchange) watching(r *http.Request) *http.Request {
	x.rc = r.Body
	if r == x.req {
		r = r.WithContext(r.Context())
	}
	r.Body = (*body)(x)
	return r
}

// outcome is ignored where the client has gone.
func (x *exchange) outcome() policy.Outcome {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.told.Err() != nil || x.dropped || x.waiting.calls > 0:
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

// tellResult tells how a request ended to those who want to know of each.
func (x *exchange) tellResult(o policy.Outcome) {
	if x.shedder.results == nil {
		return
	}
	x.mu.Lock()
	ctx, began := x.told, x.began
	x.mu.Unlock()
	if began.IsZero() {
		return
	}
	now := time.Now()
	x.shedder.results.ObserveResult(ctx, policy.Result{
		Inbound: true, Route: x.req.Pattern, Ended: now, Took: now.Sub(began), Outcome: o,
	})
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
