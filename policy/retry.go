package policy

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Retry repeats an operation that failed, after a wait that grows and is
// jittered. It is safe for concurrent use; a call whose first try succeeds
// costs one atomic addition at most.
//
// Worth another try is every error but a context error, a refusal,
// ErrMaxRetriesExceeded and what is marked [Permanent]; what is marked
// [Transient] always is. [RetryIf] replaces the rule.
type Retry struct {
	cfg    RetryConfig
	opts   options
	budget *Budget // nil: no bound
}

var _ Policy = (*Retry)(nil)

// NewRetry panics on what cfg.Validate reports.
func NewRetry(cfg RetryConfig, opts ...Option) *Retry {
	must("RetryConfig", cfg.Validate())
	r := &Retry{cfg: cfg.withDefaults(), opts: newOptions(opts)}
	if cfg.Budget != nil {
		r.budget = NewBudget(*cfg.Budget)
		show(r.opts.watch.observer, r, (*Retry).status)
	}
	return r
}

// status is that of the budget, the only state there is.
func (r *Retry) status() Status {
	s := r.budget.Status()
	s.Key = r.opts.key
	return s
}

// Do runs op until it succeeds or is not worth another try. It returns op's last
// error as it is, but for two cases:
//
//   - Retries that ran out end in an [*Error] that matches ErrMaxRetriesExceeded
//     and op's last error, unless MaxRetries is negative.
//   - When ctx ends during a wait, the result matches ctx.Err(), the cause of
//     ctx and op's last error.
//
// A wait that would outlast ctx's deadline, or that the budget does not grant,
// is not begun. A retry that succeeds, ends [Permanent] or is refused before it
// was sent gets its token back.
//
// An [*Error] with a RetryAfter in op's error delays the next try by that and
// the backoff together, so that those told the same time do not come back in
// step.
func (r *Retry) Do(ctx context.Context, op func(context.Context) error) error {
	r.budget.Call()
	for attempt := 1; ; attempt++ {
		err := op(ctx)
		if attempt > 1 && costsNothing(err) {
			r.budget.Refund()
		}
		if err == nil {
			return nil
		}
		wait, obstacle := r.plan(ctx, attempt, err)
		if obstacle != "" {
			return r.giveUp(ctx, attempt, obstacle, err)
		}
		if err := r.pause(ctx, attempt, wait, err); err != nil {
			return err
		}
	}
}

// MaxRetries is how many tries may follow the first.
func (r *Retry) MaxRetries() int { return max(0, r.cfg.MaxRetries) }

// plan returns how long to wait before the next try, its token taken, or what
// stands against one.
func (r *Retry) plan(ctx context.Context, attempt int, err error) (time.Duration, Reason) {
	switch {
	case ctx.Err() != nil:
		return 0, endOf(ctx)
	case !r.worthRetry(err):
		return 0, ReasonNotRetryable
	case attempt > r.MaxRetries():
		return 0, ReasonMaxRetries
	}
	wait := r.Backoff(attempt)
	if e, ok := errors.AsType[*Error](err); ok && e.RetryAfter > 0 {
		wait = later(e.RetryAfter, wait)
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return 0, ReasonDeadline
	}
	if !r.budget.Take() {
		return 0, ReasonBudget
	}
	return wait, ""
}

func (r *Retry) giveUp(ctx context.Context, attempts int, why Reason, last error) error {
	r.tell(ctx, Decision{Action: ActionGiveUp, Reason: why, Attempt: attempts, Err: last})
	if why != ReasonMaxRetries || r.MaxRetries() == 0 {
		return last
	}
	return &Error{Reason: why, Policy: PolicyRetry, Key: r.opts.key, Attempts: attempts, Err: last}
}

// pause waits for the next try. When ctx ends first it gives the token back and
// returns why there is none.
func (r *Retry) pause(ctx context.Context, attempt int, wait time.Duration, last error) error {
	began := time.Now()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	if ctx.Err() != nil { // also when both were ready
		r.budget.Refund()
		r.tell(ctx, Decision{Action: ActionGiveUp, Reason: endOf(ctx), Attempt: attempt, Began: began, Err: last})
		return interrupted(ctx, last)
	}
	r.tell(ctx, Decision{Action: ActionWait, Reason: retryReason(last), Attempt: attempt, Began: began, Err: last})
	return nil
}

// tell completes d for the observer; what has not begun was decided at once.
func (r *Retry) tell(ctx context.Context, d Decision) {
	if !r.opts.watch.wants(ctx) {
		return
	}
	d.Policy, d.Key = PolicyRetry, r.opts.key
	if d.Began.IsZero() {
		d.Began = time.Now()
	} else {
		d.Took = time.Since(d.Began)
	}
	r.opts.watch.observe(ctx, d)
}

func (r *Retry) worthRetry(err error) bool {
	if r.opts.retryIf != nil {
		return r.opts.retryIf(err)
	}
	marked, ok := errors.AsType[*markedError](err)
	switch {
	case !ok:
		return !conclusive(err)
	case marked.marking == permanent:
		return false
	}
	// A mark speaks for what it wraps, not for what wraps it: retries that ran
	// out on transient errors have run out.
	return !conclusive(err) || conclusive(marked.error)
}

// conclusive reports whether err says that another try would be in vain.
func conclusive(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, ErrMaxRetriesExceeded) || Refused(err)
}

// costsNothing reports whether a retry that ended with err added no load to a
// peer in trouble: it was answered, or never sent.
func costsNothing(err error) bool {
	return err == nil || markingOf(err) == permanent || Refused(err)
}

// retryReason tells what was wrong with the try that is repeated.
func retryReason(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok && e.Reason != "" {
		return e.Reason
	}
	return ReasonError
}

func endOf(ctx context.Context) Reason {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ReasonDeadline
	}
	return ReasonCanceled
}

func interrupted(ctx context.Context, last error) error {
	ended, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, ended) {
		return fmt.Errorf("%w while waiting to retry: %w", cause, last)
	}
	return fmt.Errorf("%w (%w) while waiting to retry: %w", ended, cause, last)
}
