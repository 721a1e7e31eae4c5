package transport

import (
	"context"
	"net/http"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Row 4, the retries: the loop over the tries.

// result is what a try ended with.
type result struct {
	*attempt
	resp    *http.Response
	err     error
	verdict Verdict
}

func (c *call) roundTrip() (resp *http.Response, err error) {
	var r, last result
	defer func() {
		if resp == nil && err == nil { // a panic of the base or of a collaborator, or Goexit
			c.abandon(r, last)
		}
	}()
	if c.state.over {
		c.decide(c, policy.Decision{Policy: policy.PolicyGuard, Action: policy.ActionBypass, Reason: policy.ReasonTooManyKeys})
	}
	for a := &c.first; ; a = new(attempt) {
		c.tries++
		a.call, a.number, a.parent = c, c.tries, c.ctx
		r = result{attempt: a}
		if err := c.ready(a, last); err != nil {
			c.tries--
			return c.stopped(last, err)
		}
		r.try()
		wait, again := c.plan(r)
		if !again {
			return c.deliver(r)
		}
		r.settle()
		if err := c.sleep(wait, r); err != nil {
			return c.stopped(r, err)
		}
		last = r
	}
}

// ready makes everything ready for a try: its permits, its request body and the
// connection of the try before. Only once it is certain that the try is made is
// the response before given up.
func (c *call) ready(a *attempt, last result) error {
	if err := a.admit(); err != nil {
		return err
	}
	if c.upload == nil {
		if last.resp != nil {
			last.discard(last.resp)
		}
		return nil
	}
	if last.attempt == nil {
		a.upload = c.upload.first(a)
		return nil
	}
	next, err := c.upload.next(a)
	if err == nil && next.own == nil {
		err = last.sending().rests(c)
	}
	if err != nil {
		a.giveBack()
		c.giveUp(policy.ReasonBodyNotReplayable, err)
		return err
	}
	a.upload = next
	if last.resp != nil {
		last.discard(last.resp)
	}
	if err := c.upload.await(c, next); err != nil {
		next.Close()
		a.giveBack()
		return err
	}
	return nil
}

// admit asks the gates, rows 5 to 8.
func (a *attempt) admit() error {
	err := a.call.peekBreaker()
	if err == nil {
		err = a.admitThrottle()
	}
	if err == nil {
		err = a.admitRate()
	}
	if err == nil {
		err = a.admitConcurrency()
	}
	if err == nil {
		err = a.admitGates()
	}
	if err == nil {
		err = a.admitBreaker()
	}
	if err != nil {
		a.giveBack()
	}
	return err
}

// release gives all permits back; those that have been are left alone.
func (a *attempt) release(o policy.Outcome) { a.releaseIn(a, o) }

// giveBack gives the permits of a try back that was not made, or whose end
// nobody saw. They are told nothing by it, not even that the caller has gone;
// and a try that was not made must not be asked for the time it has left.
func (a *attempt) giveBack() { a.releaseIn(context.WithoutCancel(a.call), policy.Ignored) }

func (a *attempt) releaseIn(ctx context.Context, o policy.Outcome) {
	a.breaker.Done(ctx, o)
	for _, g := range a.gates {
		g.Done(ctx, o)
	}
	a.inFlight.Done(ctx, o)
	a.ramp.Done(ctx, o)
}

// try sends the request and draws the verdict.
func (r *result) try() {
	r.resp, r.err = r.send()
	r.verdict = r.judge(r.resp, r.err)
	r.outcome = r.verdict.Outcome
	r.noted(r.resp, r.err)
	r.judged(r.outcome)
	r.learnThrottle(r.resp)
	r.tellTimeout(r.err)
	if r.resp != nil && r.inFlight != (policy.Permit{}) {
		r.streaming(r.resp)
	}
}

// settle ends a try that another will follow: its permits now, its response
// when the next is certain.
func (r *result) settle() {
	r.release(r.verdict.Outcome)
	r.endSpan(nil) // its response waits, the try does not; an error was told before
	if r.resp != nil {
		r.wrap(r.resp)
		return
	}
	r.end()
}

// plan says whether a try is repeated, and after how long.
func (c *call) plan(r result) (time.Duration, bool) {
	if c.t.backoff == nil {
		return 0, false
	}
	if r.verdict.Retry == "" {
		if r.number > 1 && r.verdict.Outcome == policy.Success {
			c.state.budget.Refund()
		}
		return 0, false
	}
	wait := c.t.backoff.Backoff(r.number)
	why := c.suppressed(r)
	if why == "" {
		wait, why = c.fits(r, wait)
	}
	if why == "" && !c.state.budget.Take() {
		why = policy.ReasonBudget
	}
	if why != "" {
		c.giveUp(why, r.err)
		return 0, false
	}
	return wait, true
}

func (c *call) giveUp(why policy.Reason, err error) {
	c.decide(c, policy.Decision{Policy: policy.PolicyRetry, Action: policy.ActionGiveUp, Reason: why, Err: err})
}

// suppressed tells why a try that is worth repeating must not be.
func (c *call) suppressed(r result) policy.Reason {
	switch {
	case c.ctx.Err() != nil:
		return policy.ReasonCanceled
	case c.nested:
		return policy.ReasonNested
	case !nothingSent(r.verdict.Retry) && !idempotent(c.req):
		return policy.ReasonMethod
	case r.number > c.t.backoff.MaxRetries():
		return policy.ReasonMaxRetries
	case c.upload != nil && !c.upload.replayable():
		return policy.ReasonBodyNotReplayable
	}
	if open, _ := c.open(); open {
		return policy.ReasonCircuitOpen
	}
	return ""
}

func nothingSent(why policy.Reason) bool {
	return why == policy.ReasonDialError || why == policy.ReasonUnsent
}

// fits makes the wait as long as the peer asked for, and tells why that would
// be too long.
func (c *call) fits(r result, wait time.Duration) (time.Duration, policy.Reason) {
	if r.resp != nil {
		if asked, ok := retryAfter(r.resp.Header); ok {
			if asked > c.t.cfg.Retry.MaxRetryAfter {
				return 0, policy.ReasonRetryAfter
			}
			wait += asked // jitter only ever adds
		}
	}
	if left, bounded := c.left(); bounded && left <= wait {
		return 0, policy.ReasonDeadline
	}
	return wait, ""
}

// repeatable reports whether a try that is cut now would be made again.
func (a *attempt) repeatable() bool {
	c := a.call
	return c.t.backoff != nil && !c.nested && a.number <= c.t.backoff.MaxRetries() &&
		idempotent(c.req) && (c.upload == nil || c.upload.replayable() && !a.sending().stalled()) && c.state.budget.Tokens() >= 1
}

// sleep waits before a retry. It ends early, with an error, when the caller goes
// away or the breaker opens.
func (c *call) sleep(wait time.Duration, r result) error {
	began := time.Now()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		open, changed := c.open()
		if open {
			c.giveUp(policy.ReasonCircuitOpen, r.err)
			return errStopped
		}
		select {
		case <-changed:
			continue
		case <-c.ctx.Done():
			c.giveUp(policy.ReasonCanceled, r.err)
			return context.Cause(c.ctx)
		case <-timer.C:
		}
		c.decide(c, policy.Decision{
			Policy: policy.PolicyRetry, Action: policy.ActionWait, Reason: r.verdict.Retry,
			Began: began, Took: time.Since(began), RetryAfter: wait, Err: r.err,
		})
		return nil
	}
}
