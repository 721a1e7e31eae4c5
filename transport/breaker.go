package transport

import "github.com/magnetar-go/magnetar/policy"

// Row 8, the breaker: asked last, so that a trial means traffic on the wire, and
// peeked at before rows 5 to 7, so that an open one costs no token.

func (c *call) peekBreaker() error {
	if c.state.breaker == nil || c.tries > 1 { // a call is offered once
		return nil
	}
	return c.state.breaker.Peek(c)
}

func (a *attempt) admitBreaker() (err error) {
	if b := a.call.state.breaker; b != nil {
		a.breaker, err = b.AdmitPeeked(a.call)
	}
	return err
}

// judged tells the breaker what is certain at the headers: a failure, what is
// ignored, and a trial's success, so that a long body holds no trial's slot.
// Any other success is told at the end of the body.
func (a *attempt) judged(o policy.Outcome) {
	a.breaker.Responded()
	if o != policy.Success || a.breaker.Trial() {
		a.breaker.Done(a, o)
	}
}

// open reports whether the breaker would refuse a retry, and a channel that is
// closed when that may have changed.
func (c *call) open() (bool, <-chan struct{}) {
	b := c.state.breaker
	if b == nil {
		return false, nil
	}
	changed := b.Changed()
	return b.State() == policy.Open, changed
}
