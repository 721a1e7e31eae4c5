package transport

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// attempt is one try: the context and the copy of the request that the base
// gets, the wrapper of the response body (as [body]) and the permits, all in one
// allocation.
type attempt struct {
	lazy
	call     *call
	number   int // from 1
	request  http.Request
	span     *otel.AttemptSpan // nil while nobody looks
	trace    atomic.Pointer[trace]
	clock    attemptClock
	began    int64
	inFlight policy.Permit   // of row 7
	ramp     policy.Permit   // of row 5
	breaker  policy.Permit   // of row 8
	gates    []policy.Permit // of the user's, in rows 6 and 7
	upload   *uploadBody

	rc      io.ReadCloser  // of the response
	outcome policy.Outcome // at the headers
	body    bodyState
}

var errNoResponse = policy.Permanent(errors.New("magnetar: the base RoundTripper returned neither a response nor an error"))

// Row 10: the attempt span, fresh propagation headers, and the signature.

// send makes the try. It returns a response, or an error, never both; its own
// timeouts come as a *policy.Error.
func (a *attempt) send() (*http.Response, error) {
	c := a.call
	if a.began, c.clock = c.clock, 0; a.began == 0 {
		a.began = now()
	}
	if c.observed || a.number > 1 && !c.silent { // the peer is to tell a retry from the try before
		parent, span := c.t.otel.StartAttempt(c.ctx, c.req, a.number-1)
		a.parent, a.span = parent, &span
	}
	a.request = *c.req.WithContext(a)
	if c.upload != nil {
		a.request.Body = a.upload
		a.request.GetBody = a.upload.again
	}
	if err := a.prepare(); err != nil {
		a.closeRequestBody()
		return nil, err
	}
	resp, err := c.t.base.RoundTrip(&a.request)
	if err != nil && resp != nil && resp.Body != nil {
		resp.Body.Close()
	} else if err == nil && resp == nil {
		err = errNoResponse
	}
	if !a.headersArrived() {
		return nil, a.expired(resp, err)
	}
	if err != nil {
		return nil, a.cutShort(err)
	}
	return resp, nil
}

// cutShort names the end of the caller's context where the base only knows of
// the request body that it cost.
func (a *attempt) cutShort(err error) error {
	if ctx := a.call.ctx; a.upload != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

// prepare gives the try headers of its own, where anything will be set in them.
func (a *attempt) prepare() error {
	t := a.call.t
	inject := !a.call.silent && t.otel.Injects()
	propagate := t.propagation != (Propagation{})
	if !inject && !propagate && t.sign == nil {
		return nil
	}
	a.request.Header = a.request.Header.Clone()
	if inject {
		t.otel.Inject(a.parent, a.request.Header)
	}
	if propagate {
		t.propagation.into(a)
	}
	if t.sign != nil {
		return policy.Permanent(t.sign(&a.request))
	}
	return nil
}

// expired is the error of a try whose time was up, even if the base returned
// something at the last moment.
func (a *attempt) expired(resp *http.Response, err error) error {
	if err == nil && resp != nil && resp.Body != nil {
		resp.Body.Close()
	}
	if own, ok := errors.AsType[*policy.Error](a.cause()); ok {
		return own
	}
	if err == nil {
		err = or(a.cause(), errNoResponse)
	}
	return err
}

func (a *attempt) closeRequestBody() {
	if a.upload != nil {
		a.sending().Close()
	}
}

// noted keeps what came of the try: in the record, the span and the key's usual
// time. It tells those who want to know of each.
func (a *attempt) noted(resp *http.Response, err error) {
	took := now() - a.began
	n := tried{began: a.began, took: took, err: err}
	if resp != nil {
		n.status = resp.StatusCode
		a.call.state.took(took)
	}
	a.call.record.add(n)
	if results := a.call.t.results; results != nil {
		results.ObserveResult(a, policy.Result{
			Key: a.call.state.name, Ended: timeOf(a.began + took), Took: time.Duration(took), Outcome: a.outcome,
		})
	}
	if a.span != nil {
		a.span.Headers(resp, err)
	}
}

func (a *attempt) endSpan(err error) {
	if a.span != nil {
		a.span.End(err)
	}
}

// The attempt as a context, for the base.

func (a *attempt) Deadline() (time.Time, bool) { return a.call.ctx.Deadline() }
func (a *attempt) Done() <-chan struct{}       { return a.arm(a).Done() }
func (a *attempt) Err() error                  { return a.arm(a).Err() }

func (a *attempt) Value(k any) any {
	switch k {
	case recordKey{}:
		return a.call.record
	case traceKey:
		return a.tracing().value
	case policy.AvoidKey{}:
		return a.call.avoided()
	}
	return a.value(k)
}
