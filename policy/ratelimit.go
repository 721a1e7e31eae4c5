package policy

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// RateLimiter lets so many through per period, gives others a turn to wait for,
// first come, first served, and refuses those whose turn would come too late. It
// is a [Gate] and a [Policy], and safe for concurrent use.
//
// A caller whose context ends while it waits leaves its turn to the next that
// comes, even when others have a later one already: no turn is lost by those who
// leave.
type RateLimiter struct {
	maxWait time.Duration
	key     string
	watch   watch

	mu sync.Mutex
	// Guarded by mu:
	schedule *schedule
	line     list.List // of *waiter, in the order they came
	admitted uint64
	refused  uint64
	canceled uint64
}

var (
	_ Gate   = (*RateLimiter)(nil)
	_ Policy = (*RateLimiter)(nil)
)

// NewRateLimiter returns a limiter for cfg. It panics on what cfg.Validate
// reports.
func NewRateLimiter(cfg RateLimiterConfig, opts ...Option) *RateLimiter {
	must("RateLimiterConfig", cfg.Validate())
	cfg = cfg.withDefaults()
	o := newOptions(opts)
	r := &RateLimiter{
		maxWait:  max(0, cfg.MaxWait),
		key:      o.key,
		watch:    o.watch,
		schedule: startEngine(cfg, time.Now(), 0),
	}
	show(o.watch.observer, r, (*RateLimiter).Status)
	return r
}

// PerSecond returns a limiter of n a second, at once if they come at once. It
// panics when n < 1.
func PerSecond(n int, opts ...Option) *RateLimiter {
	return NewRateLimiter(RateLimiterConfig{Limit: n}, opts...)
}

// PerMinute returns a limiter of n a minute, at once if they come at once. It
// panics when n < 1.
func PerMinute(n int, opts ...Option) *RateLimiter {
	return NewRateLimiter(RateLimiterConfig{Limit: n, Per: time.Minute}, opts...)
}

// Admit takes a turn, waiting for it if need be. When it would come later than
// MaxWait or the deadline of ctx, Admit returns at once an [*Error] matching
// [ErrRateLimitExceeded] whose RetryAfter is the wait it would have been. When
// ctx ends, it returns the cause. The permit has nothing to give back.
func (r *RateLimiter) Admit(ctx context.Context) (Permit, error) {
	if ctx.Err() != nil {
		return Permit{}, context.Cause(ctx)
	}
	limit, ok := r.takeFree()
	if !ok {
		return Permit{}, r.lineUp(ctx)
	}
	if r.watch.wants(ctx) {
		r.tell(ctx, Decision{Action: ActionAdmit, Limit: limit})
	}
	return Permit{}, nil
}

// Allow takes a turn if one is free now, and reports whether it did.
func (r *RateLimiter) Allow() bool {
	ctx := context.Background()
	limit, ok := r.takeFree()
	if !ok {
		a := r.book(0, time.Time{})
		if a.refused {
			if r.watch.wants(ctx) {
				_ = r.refuse(ctx, a)
			}
			return false
		}
		limit = a.limit
	}
	if r.watch.wants(ctx) {
		r.tell(ctx, Decision{Action: ActionAdmit, Limit: limit})
	}
	return true
}

// Do runs op when its turn has come.
func (r *RateLimiter) Do(ctx context.Context, op func(context.Context) error) error {
	if _, err := r.Admit(ctx); err != nil {
		return err
	}
	return op(ctx)
}

// SetLimit changes how many may pass per period, from now on. What the present
// period has seen counts: no period gets more than the larger of both limits.
// Those who wait get a new turn each, in order, and are refused when it no
// longer fits their time. The error is what [RateLimiterConfig.Validate] says.
func (r *RateLimiter) SetLimit(n int) error {
	changed, err := r.resize(n)
	if ctx := context.Background(); changed && r.watch.wants(ctx) {
		r.tell(ctx, Decision{Action: ActionResize, Limit: n})
	}
	return err
}

// RateLimiterStats is a rate limiter at one moment.
type RateLimiterStats struct {
	Limit    int           // per period
	Per      time.Duration // the period
	Waiting  int           // callers who wait for their turn
	Admitted uint64        // callers who passed
	Refused  uint64        // callers who would have waited too long
	Canceled uint64        // callers whose context ended while they waited
}

// Stats returns the figures of one moment.
func (r *RateLimiter) Stats() RateLimiterStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return RateLimiterStats{
		Limit:    r.schedule.config.Limit,
		Per:      r.schedule.config.Per,
		Waiting:  r.line.Len(),
		Admitted: r.admitted,
		Refused:  r.refused,
		Canceled: r.canceled,
	}
}

// Status returns how the limiter stands, in the words common to all policies.
func (r *RateLimiter) Status() Status {
	s := r.Stats()
	return Status{Policy: PolicyRateLimit, Key: r.key, Limit: s.Limit, Per: s.Per, Queued: s.Waiting}
}

// Idle reports whether a new limiter of the same limit would do the same as
// this one: nobody waits and the present period has seen no one.
func (r *RateLimiter) Idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.line.Len() > 0 {
		return false
	}
	now := time.Now()
	r.follow(r.schedule.renewed(now), now)
	if !r.schedule.takeAll() {
		return false
	}
	r.schedule = startEngine(r.schedule.config, now, 0)
	return true
}

func (r *RateLimiter) tell(ctx context.Context, d Decision) {
	d.Policy, d.Key = PolicyRateLimit, r.key
	if d.Began.IsZero() {
		d.Began = time.Now()
	}
	r.watch.observe(ctx, d)
}
