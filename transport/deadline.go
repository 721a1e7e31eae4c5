package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Row 3, the total deadline: arithmetic on the call, no context of its own. A
// deadline of the caller replaces it.

// WithTimeouts replaces timeouts for the calls under ctx. Zero fields leave the
// transport's own; negative ones mean no bound.
func WithTimeouts(ctx context.Context, t Timeouts) context.Context {
	return context.WithValue(ctx, timeoutsKey{}, t)
}

type timeoutsKey struct{}

func (t Timeouts) over(below Timeouts) *Timeouts {
	return &Timeouts{
		Total:    or(t.Total, below.Total),
		Attempt:  or(t.Attempt, below.Attempt),
		BodyIdle: or(t.BodyIdle, below.BodyIdle),
	}
}

// total is the time the chain allows the call, or zero.
func (c *call) total() time.Duration {
	if _, ok := c.ctx.Deadline(); ok || c.timeouts.Total < 0 || eventStream(c.req.Header) {
		return 0
	}
	return c.timeouts.Total
}

// left is the time to the earlier of the total deadline and the caller's; ok is
// false when there is none.
func (c *call) left() (time.Duration, bool) {
	if d, ok := c.ctx.Deadline(); ok {
		return time.Until(d), true
	}
	if total := c.total(); total > 0 {
		return time.Duration(c.anchor.Load() + int64(total) - now()), true
	}
	return 0, false
}

// expire is the total deadline for the gates that wait before a try.
func (c *call) expire() (time.Duration, error) {
	total := c.total()
	if total == 0 {
		return -1, nil
	}
	left := time.Duration(c.anchor.Load() + int64(total) - now())
	if left > 0 {
		return left, nil
	}
	return 0, c.timeout(policy.ReasonTotalTimeout, total, 0)
}

func (c *call) cut() func() { return nil }

func (c *call) timeout(reason policy.Reason, d time.Duration, tries int) *policy.Error {
	what := "no response headers within %v"
	if reason == policy.ReasonBodyStalled {
		what = "no byte of the response body within %v"
	}
	return &policy.Error{
		Reason: reason, Policy: policy.PolicyTimeout, Key: c.state.name, Attempts: tries, Err: fmt.Errorf(what, d),
	}
}
