package policy

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Timeout gives an operation a bounded time. It is a [Policy], and safe for
// concurrent use.
//
// The operation runs on the caller's goroutine and is told by its context, so
// one that does not heed its context is not cut short.
type Timeout struct {
	after time.Duration
	err   error
	key   string
	watch watch
}

var _ Policy = (*Timeout)(nil)

// NewTimeout returns a timeout of d. It panics when d ≤ 0.
func NewTimeout(d time.Duration, opts ...Option) *Timeout {
	if d <= 0 {
		panic(fmt.Errorf("magnetar: invalid timeout: %v: must be > 0", d))
	}
	o := newOptions(opts)
	return &Timeout{after: d, err: fmt.Errorf("took longer than %v", d), key: o.key, watch: o.watch}
}

// Do runs op with a context that ends after the time, or earlier with ctx. When
// time runs out and op returns the error of its context, Do returns an [*Error]
// matching [ErrTimeout], which is the cause of that context too. It does not
// match [context.DeadlineExceeded]: gates count it as a failure of the operation
// and retries repeat it, unlike the end of the caller's own context.
//
// An error that op marked [Permanent] or [Transient] is kept as the cause, with
// its mark: a write that must not be repeated is not, for having timed out.
func (t *Timeout) Do(ctx context.Context, op func(context.Context) error) error {
	timeout := &Error{Reason: ReasonTimeout, Policy: PolicyTimeout, Key: t.key, Err: t.err}
	began := time.Now()
	timed, cancel := context.WithTimeoutCause(ctx, t.after, timeout)
	defer cancel()

	err := op(timed)
	if err == nil || context.Cause(timed) != timeout || !callersOwn(timed, err) {
		return err
	}
	if markingOf(err) != 0 {
		timeout = &Error{Reason: timeout.Reason, Policy: timeout.Policy, Key: t.key, Err: &cutShortError{t.err, err}}
	}
	if t.watch.wants(ctx) {
		t.watch.observe(ctx, Decision{
			Policy: PolicyTimeout,
			Action: ActionTimeout,
			Reason: ReasonTimeout,
			Key:    t.key,
			Began:  began,
			Took:   time.Since(began),
			Err:    timeout,
		})
	}
	return timeout
}

// cutShortError is the end of an operation that marked how it ended. It is all that op
// is, but for the end of its context, which was not the caller's.
type cutShortError struct{ after, op error }

func (e *cutShortError) Error() string { return e.after.Error() + ": " + e.op.Error() }

// Is hides what [Timeout.Do] says that it does not match.
func (e *cutShortError) Is(target error) bool {
	return target != context.DeadlineExceeded && errors.Is(e.op, target)
}

func (e *cutShortError) As(target any) bool { return errors.As(e.op, target) }
