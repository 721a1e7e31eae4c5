package policy

import (
	"context"
	"sync/atomic"
	"time"
)

// Concurrency limits how many tries are in flight. It is a [Gate] and a
// [Policy], and safe for concurrent use.
type Concurrency struct {
	bulkhead  *bulkhead
	maxWait   time.Duration
	failureIf func(error) bool
	key       string
	watch     watch
	admitted  atomic.Uint64
	refused   atomic.Uint64
	canceled  atomic.Uint64
}

var (
	_ Gate   = (*Concurrency)(nil)
	_ Policy = (*Concurrency)(nil)
)

// NewConcurrency returns a limiter for cfg. It panics on what cfg.Validate
// reports.
func NewConcurrency(cfg ConcurrencyConfig, opts ...Option) *Concurrency {
	must("ConcurrencyConfig", cfg.Validate())
	cfg = cfg.withDefaults()
	o := newOptions(opts)
	return &Concurrency{
		bulkhead:  newBulkhead(cfg.Limit, cfg.MaxQueue),
		maxWait:   cfg.MaxWait,
		failureIf: o.failureIf,
		key:       o.key,
		watch:     o.watch,
	}
}

// Admit takes a place among those in flight, waiting in the queue for it if
// there is one; the permit's Done gives it back, whatever the outcome. Without
// room Admit returns an [*Error] matching [ErrSaturated], and when ctx ends, the
// cause.
func (c *Concurrency) Admit(ctx context.Context) (Permit, error) {
	if ctx.Err() != nil {
		return Permit{}, context.Cause(ctx)
	}
	if o, ok := c.bulkhead.enter(); ok {
		return c.admit(ctx, o, time.Time{}), nil
	}
	return c.queue(ctx)
}

// Do runs op as one of those in flight.
func (c *Concurrency) Do(ctx context.Context, op func(context.Context) error) error {
	return do(ctx, c, c.failureIf, op)
}

// SetLimit changes how many may be in flight. Those in flight stay: under a
// smaller limit nobody is admitted until enough of them have ended, under a
// larger one those who wait are, in order. The error is what
// [ConcurrencyConfig.Validate] says.
func (c *Concurrency) SetLimit(n int) error {
	if err := (ConcurrencyConfig{Limit: n}).Validate(); err != nil {
		return err
	}
	if c.bulkhead.resize(n) == n {
		return nil
	}
	if ctx := context.Background(); c.watch.wants(ctx) {
		c.tell(ctx, c.bulkhead.occupancy(), Decision{Action: ActionResize})
	}
	return nil
}

// ConcurrencyStats is a concurrency limit at one moment.
type ConcurrencyStats struct {
	Limit    int    // of tries in flight
	InFlight int    // tries in flight; more than Limit after it was lowered
	Queued   int    // callers who wait
	Admitted uint64 // callers who got in
	Refused  uint64 // callers for whom there was no room, or not in time
	Canceled uint64 // callers whose context ended while they waited
}

// Stats returns the figures of this moment: InFlight and Queued are of the same
// instant, the counters may be a few callers apart.
func (c *Concurrency) Stats() ConcurrencyStats {
	o := c.bulkhead.occupancy()
	return ConcurrencyStats{
		Limit:    c.bulkhead.limit(),
		InFlight: o.inFlight(),
		Queued:   o.queued(),
		Admitted: c.admitted.Load(),
		Refused:  c.refused.Load(),
		Canceled: c.canceled.Load(),
	}
}

// Idle reports whether nobody is in flight and nobody waits.
func (c *Concurrency) Idle() bool { return c.bulkhead.occupancy() == 0 }

// end implements owner.
func (c *Concurrency) end(context.Context, grant, Outcome) { c.bulkhead.exit() }

// admit makes the permit of one that is in.
func (c *Concurrency) admit(ctx context.Context, o occupancy, queuedAt time.Time) Permit {
	c.admitted.Add(1)
	p := issue(grant{owner: c})
	if c.watch.wants(ctx) {
		c.tellAdmitted(ctx, p, o, queuedAt)
	}
	return p
}

// queue waits for a place where that is allowed.
func (c *Concurrency) queue(ctx context.Context) (Permit, error) {
	q, o, ok := c.bulkhead.join()
	switch {
	case ok:
		return c.admit(ctx, o, time.Time{}), nil
	case q == nil && c.bulkhead.maxQueue == 0:
		return Permit{}, c.refuse(ctx, ReasonLimitReached, o)
	case q == nil:
		return Permit{}, c.refuse(ctx, ReasonQueueFull, o)
	}

	began := time.Now()
	switch c.await(ctx, q) {
	case ReasonCanceled:
		c.canceled.Add(1)
		err := context.Cause(ctx)
		if c.watch.wants(ctx) {
			c.tell(ctx, c.bulkhead.occupancy(), waited(Decision{Began: began, Err: err}))
		}
		return Permit{}, err
	case ReasonQueueTimeout:
		o := c.bulkhead.occupancy()
		if c.watch.wants(ctx) {
			c.tell(ctx, o, waited(Decision{Began: began}))
		}
		return Permit{}, c.refuse(ctx, ReasonQueueTimeout, o)
	}
	return c.admit(ctx, c.bulkhead.occupancy(), began), nil
}

// await returns why q did not get a place; nothing when it did.
func (c *Concurrency) await(ctx context.Context, q *queuer) Reason {
	var late <-chan time.Time
	if c.maxWait > 0 {
		timer := time.NewTimer(c.maxWait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-q.in:
	case <-late:
	case <-ctx.Done():
	}
	in := !c.bulkhead.leave(q)
	switch {
	case ctx.Err() != nil:
		if in {
			c.bulkhead.exit() // the place came too late: it is the next one's
		}
		return ReasonCanceled
	case !in:
		return ReasonQueueTimeout
	}
	return ""
}

func (c *Concurrency) refuse(ctx context.Context, why Reason, o occupancy) error {
	c.refused.Add(1)
	err := &Error{Reason: why, Policy: PolicyConcurrency, Key: c.key}
	if c.watch.wants(ctx) {
		c.tell(ctx, o, Decision{Action: ActionRefuse, Reason: why, Err: err})
	}
	return err
}

// tellAdmitted makes sure that an observer who panics costs no place.
func (c *Concurrency) tellAdmitted(ctx context.Context, p Permit, o occupancy, queuedAt time.Time) {
	told := false
	defer func() {
		if !told {
			p.Done(ctx, Ignored)
		}
	}()
	if !queuedAt.IsZero() {
		c.tell(ctx, o, waited(Decision{Began: queuedAt}))
	}
	c.tell(ctx, o, Decision{Action: ActionAdmit})
	told = true
}

func (c *Concurrency) tell(ctx context.Context, o occupancy, d Decision) {
	d.Policy, d.Key = PolicyConcurrency, c.key
	d.Limit, d.InFlight, d.Queued = c.bulkhead.limit(), o.inFlight(), o.queued()
	if d.Began.IsZero() {
		d.Began = time.Now()
	}
	c.watch.observe(ctx, d)
}
