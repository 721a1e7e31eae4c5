package policy

import (
	"context"
	"time"

	"github.com/magnetar-go/magnetar/policy/internal/bulkhead"
)

// refuse turns one away that came at began and perhaps waited.
func (c *Concurrency) refuse(ctx context.Context, began time.Time, why Reason) error {
	c.refused.Add(1)
	err := &Error{Reason: why, Policy: c.name, Key: c.key}
	if c.watch.wants(ctx) {
		if why == ReasonQueueTimeout || why == ReasonEvicted {
			c.tell(ctx, waited(Decision{Began: began}))
		}
		c.tell(ctx, Decision{Action: ActionRefuse, Reason: why, Err: err})
	}
	return err
}

// tellAdmitted makes sure that an observer who panics costs no place.
func (c *Concurrency) tellAdmitted(ctx context.Context, p Permit, o bulkhead.Occupancy, queuedAt time.Time) {
	told := false
	defer func() {
		if !told {
			p.Done(ctx, Ignored)
		}
	}()
	if !queuedAt.IsZero() {
		c.tellAt(ctx, o, waited(Decision{Began: queuedAt}))
	}
	c.tellAt(ctx, o, Decision{Action: ActionAdmit})
	told = true
}

// tellLimit tells the limit when it is another one than was told last. One that
// finds itself moves all the time, so that less than a tenth is not told.
func (c *Concurrency) tellLimit(ctx context.Context) {
	now, last := int64(c.bulkhead.Limit()), c.told.Load()
	if now == last || 10*max(now-last, last-now) < last || !c.watch.wants(ctx) {
		return
	}
	if c.told.CompareAndSwap(last, now) {
		c.tell(ctx, Decision{Action: ActionResize})
	}
}

func (c *Concurrency) tell(ctx context.Context, d Decision) {
	c.tellAt(ctx, c.bulkhead.Occupancy(), d)
}

func (c *Concurrency) tellAt(ctx context.Context, o bulkhead.Occupancy, d Decision) {
	d.Policy, d.Key, d.Priority = c.name, c.key, PriorityFromContext(ctx)
	d.Limit, d.InFlight, d.Queued = c.bulkhead.Limit(), o.InFlight(), o.Queued()
	if d.Began.IsZero() {
		d.Began = time.Now()
	}
	c.watch.observe(ctx, d)
}
