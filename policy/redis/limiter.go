package redislimit

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Limiter is a rate limit on what all processes do together, such as the calls of
// a fleet to a peer with a quota. It gives each caller a turn, first come, first
// served across the fleet, and refuses those whose turn would come too late, as
// [policy.RateLimiter] does in one process. It is a [policy.Gate] and a
// [policy.Policy], and safe for concurrent use.
//
// Up to the limit may pass at once; then turns come evenly spread, at the rate of
// the limit (GCRA), so that no period of any beginning sees more than twice the
// limit. With [policy.PacingSmooth] nothing passes at once but one.
//
// A caller whose context ends while it waits leaves its turn to the next that
// comes. One whose context ends while Redis is asked may leave it unused.
type Limiter struct {
	store   *Store
	name    string
	cfg     policy.RateLimiterConfig
	maxWait time.Duration
	charge  charge // of one, that does not wait
	options options

	waiting                               atomic.Int64
	admitted, refused, canceled, bypassed atomic.Uint64
}

var (
	_ policy.Gate   = (*Limiter)(nil)
	_ policy.Policy = (*Limiter)(nil)
)

// NewLimiter returns a limiter of cfg, that counts in store. Limiters of the same
// name share the limit, and must be of the same cfg, but for MaxWait.
//
// Turns are a whole number of microseconds apart, rounded up, so that the rate is at
// most the limit and may be well below it where that is high: of 3,000 a second
// 2,994 are left, of 300,000 a second 250,000, of 700,000 a second 500,000, and of
// any limit above a million a second a million. Where the limit divides a million
// evenly, nothing is lost.
//
// The error says all that is wrong with store, name and cfg.
func NewLimiter(store *Store, name string, cfg policy.RateLimiterConfig, opts ...Option) (*Limiter, error) {
	var f policy.Faults
	if store == nil {
		f.Add("store", errors.New("must be set"))
	}
	if name == "" {
		f.Add("name", errors.New("must be set"))
	}
	f.Add("", cfg.Validate())
	if err := f.Err(); err != nil {
		return nil, err
	}
	cfg.Per = cmp.Or(cfg.Per, time.Second)
	l := &Limiter{
		store: store, name: name, cfg: cfg, options: newOptions(opts),
		maxWait: max(0, cmp.Or(cfg.MaxWait, 30*time.Second)),
	}
	burst, limit := cfg.Limit, time.Duration(cfg.Limit)
	if cfg.Pacing == policy.PacingSmooth {
		burst = 1
	}
	var err error
	l.charge, err = chargeOf(policy.StoreLimit{Name: name, Burst: burst, Interval: (cfg.Per + limit - 1) / limit}, 1)
	if err != nil {
		return nil, err
	}
	policy.Watch(l.options.observer, l, (*Limiter).statuses)
	return l, nil
}

// Admit takes a turn, waiting for it if need be. When it would come later than
// MaxWait or the deadline of ctx, Admit returns at once an [*policy.Error] matching
// [policy.ErrRateLimitExceeded] whose RetryAfter is the wait it would have been.
// When ctx ends, it returns the cause. While Redis does not answer, or not until
// shortly before the deadline of ctx, Admit does as the store's [Config.OnFailure]
// says; a refusal then matches [policy.ErrSaturated]. The permit has nothing to give back.
func (l *Limiter) Admit(ctx context.Context) (policy.Permit, error) {
	key := l.keyOf(ctx)
	a, err := l.store.ask(ctx, key, []charge{l.charge.waiting(l.longestWait(ctx))})
	switch {
	case err == nil:
		return policy.Permit{}, l.pass(ctx, key, a)
	case ctx.Err() != nil:
		return policy.Permit{}, context.Cause(ctx)
	case policy.Refused(err):
		l.refused.Add(1)
		l.options.tell(ctx, policy.Decision{
			Action: policy.ActionRefuse, Reason: policy.ReasonStore, Key: key, Limit: l.cfg.Limit, Err: errors.Unwrap(err),
		})
		return policy.Permit{}, err
	}
	l.bypassed.Add(1)
	l.options.tell(ctx, policy.Decision{Action: policy.ActionBypass, Reason: policy.ReasonStore, Key: key, Limit: l.cfg.Limit, Err: err})
	return policy.Permit{}, nil
}

// Do runs op when its turn has come.
func (l *Limiter) Do(ctx context.Context, op func(context.Context) error) error {
	if _, err := l.Admit(ctx); err != nil {
		return err
	}
	return op(ctx)
}

// LimiterStats is a limiter at one moment, as far as this process goes.
type LimiterStats struct {
	Waiting  int    // callers who wait for their turn
	Admitted uint64 // callers who passed
	Refused  uint64 // callers who would have waited too long, or whom nobody could count
	Canceled uint64 // callers whose context ended while they waited
	Bypassed uint64 // callers who passed uncounted
}

// Stats returns the figures of one moment.
func (l *Limiter) Stats() LimiterStats {
	return LimiterStats{
		Waiting: int(l.waiting.Load()), Admitted: l.admitted.Load(), Refused: l.refused.Load(),
		Canceled: l.canceled.Load(), Bypassed: l.bypassed.Load(),
	}
}

func (l *Limiter) statuses() iter.Seq[policy.Status] {
	return func(yield func(policy.Status) bool) {
		yield(policy.Status{
			Policy: policy.PolicyRateLimit, Key: l.name, Limit: l.cfg.Limit, Per: l.cfg.Per, Queued: int(l.waiting.Load()),
		})
	}
}

func (l *Limiter) keyOf(ctx context.Context) string {
	key, _ := ctx.Value(contextKey{}).(string)
	return cmp.Or(key, l.name)
}

// longestWait is how long ctx lets a caller wait.
func (l *Limiter) longestWait(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return l.maxWait
	}
	return max(0, min(l.maxWait, time.Until(deadline)))
}

// pass goes by what the store says: to refuse, to wait, or to let pass.
func (l *Limiter) pass(ctx context.Context, key string, a answer) error {
	c := a.charges[0]
	wait := c.wait(c.after(a.backlogs[0]))
	if deadline, ok := ctx.Deadline(); ok && a.taken && wait > 0 && wait >= time.Until(deadline) { // to ask took too long
		l.store.giveBack(ctx, key, a)
		a.taken = false
	}
	if !a.taken {
		l.refused.Add(1)
		err := &policy.Error{Reason: policy.ReasonRateLimit, Policy: policy.PolicyRateLimit, Key: key, RetryAfter: wait}
		l.options.tell(ctx, policy.Decision{
			Action: policy.ActionRefuse, Reason: policy.ReasonRateLimit, Key: key, Limit: l.cfg.Limit, RetryAfter: wait, Err: err,
		})
		return err
	}
	if wait > 0 {
		if err := l.wait(ctx, key, wait); err != nil {
			l.store.giveBack(ctx, key, a)
			return err
		}
	}
	l.admitted.Add(1)
	l.options.tell(ctx, policy.Decision{Action: policy.ActionAdmit, Key: key, Limit: l.cfg.Limit})
	return nil
}

// wait waits for a turn, or returns the cause of ctx.
func (l *Limiter) wait(ctx context.Context, key string, d time.Duration) error {
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	began := time.Now()
	timer := time.NewTimer(d)
	defer timer.Stop()
	decision := policy.Decision{Action: policy.ActionWait, Key: key, Limit: l.cfg.Limit, Began: began}
	select {
	case <-timer.C:
	case <-ctx.Done():
		l.canceled.Add(1)
		decision.Reason, decision.Err = policy.ReasonCanceled, context.Cause(ctx)
	}
	decision.Took = time.Since(began)
	l.options.tell(ctx, decision)
	return decision.Err
}
