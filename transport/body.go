package transport

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// body is an attempt seen as the response body that the caller reads. What the
// try holds ends with it.
type body attempt

type bodyState struct {
	ended   atomic.Bool
	closing atomic.Bool // by the caller
	final   bool        // it is the caller's, so the call ends with it
	given   bool        // up, for the next try
}

func (b *body) attempt() *attempt { return (*attempt)(b) }

func (b *body) Read(p []byte) (int, error) {
	a := b.attempt()
	if a.call.timeouts.BodyIdle > 0 {
		a.clock.reading.Store(now())
		defer a.clock.reading.Store(0)
	}
	n, err := a.rc.Read(p)
	switch {
	case err == nil:
	case err == io.EOF || a.body.closing.Load(): // what Close does to a Read is no fault
		a.endBody(nil)
	default:
		err = a.bodyError(err)
		a.endBody(err)
	}
	return n, err
}

func (b *body) Close() error {
	a := b.attempt()
	a.body.closing.Store(true)
	err := a.rc.Close()
	a.endBody(nil)
	return err
}

// bodyError names the kit's own timeout where the base only knows of a cancel.
func (a *attempt) bodyError(err error) error {
	if own, ok := errors.AsType[*policy.Error](a.cause()); ok {
		return own
	}
	return err
}

// endBody ends the try, once: at the end of the body, at its first error, or
// when it is closed.
func (a *attempt) endBody(err error) {
	if !a.body.ended.CompareAndSwap(false, true) {
		return
	}
	outcome := a.outcome
	if err != nil {
		outcome = policy.Failure
		if a.call.ctx.Err() != nil {
			outcome = policy.Ignored
		}
		a.bodyDied(err)
	}
	a.release(outcome)
	a.endSpan(err)
	a.end()
	if a.body.final {
		a.call.ended(err)
	}
}

func (a *attempt) bodyDied(err error) {
	if own, ok := errors.AsType[*policy.Error](err); ok && own.Reason == policy.ReasonBodyStalled {
		a.call.decide(a, policy.Decision{
			Policy: policy.PolicyTimeout, Action: policy.ActionTimeout, Reason: own.Reason,
			Began: time.Now().Add(-a.call.timeouts.BodyIdle), Took: a.call.timeouts.BodyIdle, Err: err,
		})
	}
}

// wrap makes the response's body end the try; a response without one ends it
// now. The body of a 101 belongs to the caller as it is.
func (a *attempt) wrap(resp *http.Response) {
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols:
		a.release(a.outcome)
		a.rest()
		a.body.ended.Store(true)
		a.endSpan(nil)
		if a.body.final {
			a.call.ended(nil)
		}
	case a.withoutBody(resp):
		a.endBody(nil)
	default:
		a.rc = resp.Body
		resp.Body = (*body)(a)
	}
}

// withoutBody reports whether the response has no body (RFC 9110, section
// 6.4.1). Over HTTP/2 net/http gives such a one a reader of its own.
func (a *attempt) withoutBody(resp *http.Response) bool {
	switch {
	case resp.Body == nil || resp.Body == http.NoBody:
		return true
	case a.call.req.Method == http.MethodHead,
		resp.StatusCode == http.StatusNoContent, resp.StatusCode == http.StatusNotModified:
		resp.Body.Close()
		resp.Body = http.NoBody
		return true
	}
	return false
}

// What is drained of a response that is not the caller's, so that its
// connection can be used again.
const (
	drainBytes = 64 << 10
	drainTime  = 50 * time.Millisecond
)

// discard drains and closes the response of a try that has been followed by
// another. A body that hangs is cut.
func (a *attempt) discard(resp *http.Response) {
	if a.rc == nil {
		return
	}
	a.body.given = true
	if resp.ContentLength > drainBytes {
		a.rc.Close()
		a.endDiscarded()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer a.endDiscarded()
		defer a.rc.Close()
		_, _ = io.CopyN(io.Discard, a.rc, drainBytes)
	}()
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		a.end()
	}
}

func (a *attempt) endDiscarded() {
	if a.body.ended.CompareAndSwap(false, true) {
		a.endSpan(nil)
		a.end()
	}
}
