package policy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy/internal/bulkhead"
	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

// Concurrency limits how many tries are in flight. It is a [Gate] and a
// [Policy], and safe for concurrent use.
//
// Those who wait for a place are let in by their [Priority], and within one by
// their cohort, see [ContextWithPriority] and [ContextWithCohort]: a newcomer
// that matters more takes the place in a full queue of one that matters less.
// Nothing is held back for it.
type Concurrency struct {
	bulkhead  *bulkhead.Bulkhead
	failureIf func(error) bool
	name, key string
	watch     watch
	told      atomic.Int64 // the limit last told
	admitted  atomic.Uint64
	refused   atomic.Uint64
	canceled  atomic.Uint64

	updating sync.Mutex
	// Guarded by updating:
	config ConcurrencyConfig
}

var (
	_ Gate   = (*Concurrency)(nil)
	_ Policy = (*Concurrency)(nil)
)

// NewConcurrency returns a limiter for cfg. It panics on what cfg.Validate
// reports.
func NewConcurrency(cfg ConcurrencyConfig, opts ...Option) *Concurrency {
	must("ConcurrencyConfig", cfg.Validate())
	o := newOptions(opts)
	c := &Concurrency{
		bulkhead:  bulkhead.New(cfg.algorithm()),
		failureIf: o.failureIf,
		name:      or(o.name, PolicyConcurrency),
		key:       o.key,
		watch:     o.watch,
		config:    cfg,
	}
	c.bulkhead.Cap(cfg.MaxQueue, cfg.MaxWait)
	c.told.Store(int64(c.bulkhead.Limit()))
	show(o.watch.observer, c, (*Concurrency).Status)
	return c
}

// Admit takes a place among those in flight, waiting in the queue for it if
// there is one; the permit's Done gives it back. Without room Admit returns an
// [*Error] matching [ErrSaturated], after Drain one matching [ErrClosed], and
// when ctx ends, the cause.
//
// A limit that finds itself learns from a Success how long the try took, less
// what [Permit.Exclude] left out, and from a try whose context has ended that
// the time was too short. Other outcomes tell it nothing.
func (c *Concurrency) Admit(ctx context.Context) (Permit, error) {
	if ctx.Err() != nil {
		return Permit{}, context.Cause(ctx)
	}
	place, o, ok := c.bulkhead.Enter(ctx)
	if !ok {
		return c.queue(ctx)
	}
	p := c.permit(place)
	if c.watch.wants(ctx) {
		c.tellAdmitted(ctx, p, o, time.Time{})
	}
	return p, nil
}

// Do runs op as one of those in flight.
func (c *Concurrency) Do(ctx context.Context, op func(context.Context) error) error {
	return do(ctx, c, c.failureIf, op)
}

// SetLimit changes how many may be in flight; zero lets the limit find itself,
// and one that does already goes on. The rest of the configuration stays. See
// [Concurrency.Update].
func (c *Concurrency) SetLimit(n int) error {
	return c.update(func(cfg *ConcurrencyConfig) { cfg.Limit = n })
}

// Update changes the configuration. Those in flight stay: under a smaller limit
// nobody is admitted until enough of them have ended, under a larger one those
// who wait are, in order. Those who wait go on to wait for as long as they could
// before. The error is what [ConcurrencyConfig.Validate] says; nothing changes
// then.
func (c *Concurrency) Update(cfg ConcurrencyConfig) error {
	return c.update(func(old *ConcurrencyConfig) { *old = cfg })
}

func (c *Concurrency) update(change func(*ConcurrencyConfig)) error {
	err := c.follow(change)
	if err == nil {
		c.tellLimit(context.Background())
	}
	return err
}

func (c *Concurrency) follow(change func(*ConcurrencyConfig)) error {
	c.updating.Lock()
	defer c.updating.Unlock()
	cfg := c.config
	change(&cfg)
	if err := cfg.Validate(); err != nil {
		return err
	}
	if cfg.Limit != c.config.Limit {
		c.bulkhead.Follow(cfg.algorithm())
	}
	c.bulkhead.Cap(cfg.MaxQueue, cfg.MaxWait)
	c.config = cfg
	return nil
}

// Drain refuses everyone from now on, those who wait too, and returns when the
// last try in flight has ended, or with the cause when ctx ends before.
func (c *Concurrency) Drain(ctx context.Context) error {
	drained := c.bulkhead.Close()
	select {
	case <-drained:
		return nil
	default:
	}
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ConcurrencyStats is a concurrency limit at one moment.
type ConcurrencyStats struct {
	Limit    int    // of tries in flight
	InFlight int    // tries in flight; more than Limit after it was lowered, and after a [Permit.Resume]
	Queued   int    // callers who wait
	Admitted uint64 // callers who got in
	Refused  uint64 // callers for whom there was no room, or not in time
	Canceled uint64 // callers whose context ended while they waited
}

// Stats returns the figures of this moment: InFlight and Queued are of the same
// instant, the counters may be a few callers apart.
func (c *Concurrency) Stats() ConcurrencyStats {
	o := c.bulkhead.Occupancy()
	return ConcurrencyStats{
		Limit:    c.bulkhead.Limit(),
		InFlight: o.InFlight(),
		Queued:   o.Queued(),
		Admitted: c.admitted.Load(),
		Refused:  c.refused.Load(),
		Canceled: c.canceled.Load(),
	}
}

// Status returns how the limit stands, in the words common to all policies.
func (c *Concurrency) Status() Status {
	o := c.bulkhead.Occupancy()
	return Status{Policy: c.name, Key: c.key, Limit: c.bulkhead.Limit(), InFlight: o.InFlight(), Queued: o.Queued()}
}

// Idle reports whether nobody is in flight and nobody waits.
func (c *Concurrency) Idle() bool { return c.bulkhead.Idle() }

// permit makes the permit of one that is in.
func (c *Concurrency) permit(place bulkhead.Place) Permit {
	c.admitted.Add(1)
	return lend(c, place)
}

// end implements owner.
func (c *Concurrency) end(ctx context.Context, s *slot, o Outcome) {
	if s.paused.Load() {
		c.bulkhead.Quit(s.place)
		return
	}
	result := limit.Dropped
	switch {
	case o == Success:
		result = limit.Done
	case ctx.Err() != nil:
		result = limit.Missed
	}
	if c.bulkhead.Exit(s.place, result, time.Duration(s.excluded.Load())) {
		c.tellLimit(ctx)
	}
}

// queue waits for a place where that is allowed.
func (c *Concurrency) queue(ctx context.Context) (Permit, error) {
	began := time.Now()
	place, v := c.bulkhead.Wait(ctx, rankOf(ctx, began))
	if v == bulkhead.Canceled {
		c.canceled.Add(1)
		err := context.Cause(ctx)
		if c.watch.wants(ctx) {
			c.tell(ctx, waited(Decision{Began: began, Err: err, Reason: ReasonCanceled}))
		}
		return Permit{}, err
	}
	if v != bulkhead.Admitted {
		return Permit{}, c.refuse(ctx, began, reasons[v])
	}
	p := c.permit(place)
	if c.watch.wants(ctx) {
		c.tellAdmitted(ctx, p, c.bulkhead.Occupancy(), began)
	}
	return p, nil
}

var reasons = [...]Reason{
	bulkhead.Full:       ReasonQueueFull,
	bulkhead.Evicted:    ReasonEvicted,
	bulkhead.Expired:    ReasonQueueTimeout,
	bulkhead.Unmeetable: ReasonDeadlineUnmeetable,
	bulkhead.NoQueue:    ReasonLimitReached,
	bulkhead.Closed:     ReasonClosed,
}
