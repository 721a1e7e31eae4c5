package transport

import (
	"context"
	"errors"
	"net/http"

	"github.com/magnetar-go/magnetar/policy"
)

// errStopped says that no further try is made, so the last one counts.
var errStopped = errors.New("no further try")

// stopped ends a call whose next try is not made: the caller gets what the try
// before it ended with, or, without one or when it has gone away, why.
func (c *call) stopped(last result, why error) (*http.Response, error) {
	if last.attempt != nil {
		c.state.budget.Refund() // of a retry that is not sent
	}
	gone := c.ctx.Err() != nil
	if last.attempt != nil && !gone && !last.given() {
		return c.deliver(last)
	}
	if last.attempt != nil && last.resp != nil {
		last.discard(last.resp)
	}
	if gone && !policy.Refused(why) {
		why = context.Cause(c.ctx)
	}
	return c.fail(why)
}

// given reports whether the response of the try has been given up for the next.
func (r *result) given() bool { return r.body.given }

// deliver hands the caller what its last try ended with.
func (c *call) deliver(r result) (*http.Response, error) {
	if r.err != nil {
		r.release(r.verdict.Outcome)
		r.endSpan(nil) // the error was told before
		r.end()
		return c.fail(c.named(r))
	}
	c.closeUpload()
	c.resp = r.resp
	r.body.final = true
	switch {
	case r.body.ended.Load(): // it was settled, and had no body
		c.ended(nil)
	case r.rc == nil:
		r.wrap(r.resp)
	}
	return r.resp, nil
}

// named is the error of the last try; when the tries ran out on it, that is
// said.
func (c *call) named(r result) error {
	err := r.err
	if r.number > 1 {
		err = &triedError{err, c.record}
	}
	if r.verdict.Retry != "" && r.number > 1 && r.number > c.t.backoff.MaxRetries() {
		err = &policy.Error{
			Reason: policy.ReasonMaxRetries, Policy: policy.PolicyRetry, Key: c.state.name, Attempts: r.number, Err: err,
		}
	}
	return err
}

func (c *call) fail(err error) (*http.Response, error) {
	c.closeUpload()
	c.ended(err)
	return nil, err
}

func (c *call) closeUpload() {
	if c.upload != nil {
		c.upload.finish()
	}
	if l := c.waiting.Load(); l != nil {
		l.end()
	}
}

// ended is the end of everything: of the response body, or of a call without.
func (c *call) ended(err error) {
	if c.span != nil {
		c.span.End(c.resp, err, c.tries)
	}
}

// abandon gives everything back after a panic in the try r; last is the one
// before.
func (c *call) abandon(r, last result) {
	if r.attempt != nil {
		r.giveBack()
		r.endSpan(context.Canceled)
		r.closeRequestBody()
		r.end()
	}
	last.drop()
	r.drop()
	c.closeUpload()
	c.ended(context.Canceled)
}

// drop closes a response that nobody will read.
func (r *result) drop() {
	if r.resp != nil && r.resp.Body != nil && !r.body.ended.Load() {
		r.resp.Body.Close()
	}
}
