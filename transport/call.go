package transport

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// Row 2, the call: what all tries of one RoundTrip share. It is the context
// that the gates see, and lives in one allocation with its first try.
type call struct {
	waiting  atomic.Pointer[lazy] // nil until a gate waits
	t        *Transport
	state    *state
	req      *http.Request // the caller's, untouched
	ctx      context.Context
	record   *record
	timeouts *Timeouts
	anchor   atomic.Int64   // from when on the total time counts
	observed bool           // somebody looks at the decisions
	clock    int64          // when the try began, if nothing can have waited since; else zero
	silent   bool           // the telemetry has nothing to do
	nested   bool           // an outer transport retries already
	span     *otel.CallSpan // nil while nobody looks
	upload   *upload        // nil without a request body
	avoid    policy.Avoid   // endpoints that the tries went to
	tries    int
	resp     *http.Response // what the caller got

	own   record
	first attempt
}

func (t *Transport) begin(req *http.Request) *call {
	c := &call{t: t, req: req, ctx: req.Context(), timeouts: &t.timeouts}
	c.state = t.keys.of(req)
	c.record, c.nested = recordOf(req)
	if c.record == nil {
		c.clock = now()
		c.own.began = c.clock
		c.record = &c.own
	}
	c.anchor.Store(c.record.began) // a redirect goes on within the same total
	if o, ok := c.ctx.Value(timeoutsKey{}).(Timeouts); ok {
		c.timeouts = o.over(t.timeouts)
	}
	if c.silent = t.otel.Asleep(c.ctx); !c.silent {
		c.beginSpan()
	} else if len(t.observers) > 0 {
		c.observed = t.wants(c.ctx)
	}
	if req.Body != nil && req.Body != http.NoBody {
		c.upload = newUpload(req)
	}
	if c.state.budget != nil {
		c.state.budget.Call()
	}
	return c
}

// beginSpan begins the call span. One that is not sampled goes on to the peer
// all the same; one that is, is reason enough to look at the decisions.
func (c *call) beginSpan() {
	ctx, span := c.t.otel.StartCall(c.ctx, c.req)
	c.ctx = ctx
	if span.Recording() {
		c.span, c.observed = new(span), true
		return
	}
	c.observed = c.t.wants(ctx)
}

// recordOf finds the record of the hop before, when req is a redirect, and
// whether req is nested in the try of an outer transport.
func recordOf(req *http.Request) (r *record, nested bool) {
	if _, nested = req.Context().Value(recordKey{}).(*record); nested {
		return nil, true
	}
	if req.Response != nil && req.Response.Request != nil {
		r, _ = req.Response.Request.Context().Value(recordKey{}).(*record)
	}
	return r, false
}

// The call as a context, for the gates.

func (c *call) Deadline() (time.Time, bool) {
	if d, ok := c.ctx.Deadline(); ok {
		return d, true
	}
	total := c.total()
	if total == 0 {
		return time.Time{}, false
	}
	return timeOf(c.anchor.Load() + int64(total)), true
}

func (c *call) Done() <-chan struct{} { return c.wait().arm(c).Done() }

// Err is asked by gates before they wait: while nothing has ended there is no
// need to arm anything.
func (c *call) Err() error {
	if c.waiting.Load() == nil && c.ctx.Err() == nil {
		if _, late := c.expire(); late == nil {
			return nil
		}
	}
	return c.wait().arm(c).Err()
}

func (c *call) wait() *lazy {
	if l := c.waiting.Load(); l != nil {
		return l
	}
	c.waiting.CompareAndSwap(nil, &lazy{parent: c.ctx})
	return c.waiting.Load()
}

func (c *call) Value(k any) any {
	if _, ok := k.(recordKey); ok {
		return c.record
	}
	if l := c.waiting.Load(); l != nil {
		return l.value(k)
	}
	return c.ctx.Value(k)
}

// avoided is what the tries of the call share about endpoints; that of an outer
// transport or of the caller, if there is one.
func (c *call) avoided() *policy.Avoid {
	if outer := policy.AvoidFromContext(c.ctx); outer != nil {
		return outer
	}
	return &c.avoid
}

// record is what is kept of a call after it: it is found through the context of
// resp.Request.
type record struct {
	began int64

	first tried // most calls make no more
	more  []tried
}

// tried is an Attempt in few bytes.
type tried struct {
	began, took int64
	status      int
	err         error
}

type recordKey struct{}

func (r *record) add(a tried) {
	if r.first.began == 0 {
		r.first = a
	} else {
		r.more = append(r.more, a)
	}
}

func (r *record) attempts() []Attempt {
	if r.first.began == 0 {
		return nil
	}
	out := make([]Attempt, 0, 1+len(r.more))
	for _, a := range append([]tried{r.first}, r.more...) {
		out = append(out, Attempt{timeOf(a.began), time.Duration(a.took), a.status, a.err})
	}
	return out
}

// Attempt is one try of a call, as it was at its response headers.
type Attempt struct {
	Began      time.Time
	Took       time.Duration // to the response headers, or to the error
	StatusCode int           // zero with an error
	Err        error
}

// Attempts returns the tries behind a response, oldest first, those of the
// redirects before it included; nil for a response that no [Transport] made.
func Attempts(resp *http.Response) []Attempt {
	if resp == nil {
		return nil
	}
	if b, ok := resp.Body.(*body); ok {
		return b.call.record.attempts()
	}
	if resp.Request == nil {
		return nil
	}
	if r, ok := resp.Request.Context().Value(recordKey{}).(*record); ok {
		return r.attempts()
	}
	return nil
}

// AttemptsOf returns the tries behind an error of a call that was tried more
// than once; else nil.
func AttemptsOf(err error) []Attempt {
	if e, ok := errors.AsType[*triedError](err); ok {
		return e.record.attempts()
	}
	return nil
}

// triedError is the last error of a call that was tried more than once.
type triedError struct {
	error
	record *record
}

func (e *triedError) Unwrap() error { return e.error }

// Timeout lets *url.Error see through.
func (e *triedError) Timeout() bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](e.error)
	return ok && t.Timeout()
}

// decide tells a decision of the chain itself.
func (c *call) decide(ctx context.Context, d policy.Decision) {
	if !c.observed {
		return
	}
	d.Key = c.state.name
	d.Attempt = c.tries
	if d.Began.IsZero() {
		d.Began = time.Now()
	}
	c.t.observer.Observe(ctx, d)
}
