package pool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// ExhaustedError tells how things stood when a caller got no connection. It is
// found with errors.As in an error that matches [policy.ErrPoolExhausted].
type ExhaustedError struct {
	Waited time.Duration // before it was refused
	Stats  Stats         // just then
	// Causes are context.DeadlineExceeded if time was up, what the last creation
	// failed with if none has succeeded since, and what a check failed with
	// meanwhile. errors.Is and errors.As look at each.
	Causes []error
}

// Error says how many connections are where, and what was wrong.
func (e *ExhaustedError) Error() string {
	s := e.Stats
	var b strings.Builder
	fmt.Fprintf(&b, "no connection after %v: of %d, %d are in use, %d idle, %d being made, %d being closed; %d callers wait",
		e.Waited.Round(time.Microsecond), s.MaxSize, s.Active, s.Idle, s.Creating, s.Closing, s.Waiting)
	for _, err := range e.Causes {
		b.WriteString("; ")
		b.WriteString(err.Error())
	}
	return b.String()
}

// Unwrap returns the causes.
func (e *ExhaustedError) Unwrap() []error { return e.Causes }

// exhausted is the refusal of a caller who came at a time; end is of its time,
// nil if that is not why.
func (p *Pool[T]) exhausted(why policy.Reason, began int64, end error) *policy.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.look()
	if why == policy.ReasonAcquireTimeout {
		p.count.timeouts++
	}
	var causes []error
	for _, err := range []error{end, p.trouble.create, p.trouble.refusal} {
		if err != nil {
			causes = append(causes, err)
		}
	}
	if p.trouble.check != nil && p.trouble.checkAt >= began {
		causes = append(causes, p.trouble.check)
	}
	return &policy.Error{
		Reason: why, Policy: policy.PolicyPool, Key: p.key,
		Err: &ExhaustedError{Waited: time.Duration(now - began), Stats: p.stats(), Causes: causes},
	}
}

func (p *Pool[T]) closedError() *policy.Error {
	return &policy.Error{Reason: policy.ReasonClosed, Policy: policy.PolicyPool, Key: p.key}
}

// refuse makes the error of a caller who came at a time, and tells of it.
func (p *Pool[T]) refuse(ctx context.Context, why policy.Reason, began int64) error {
	var err *policy.Error
	switch why {
	case policy.ReasonClosed:
		err = p.closedError()
	case policy.ReasonAcquireTimeout:
		err = p.exhausted(why, began, context.DeadlineExceeded)
	default:
		err = p.exhausted(why, began, nil)
	}
	p.refused(ctx, err, began)
	return err
}

// gaveUp is the error of a caller whose context ended while it waited.
func (p *Pool[T]) gaveUp(ctx context.Context, began int64) error {
	end := endOf(ctx)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err := p.exhausted(policy.ReasonAcquireTimeout, began, end)
		p.refused(ctx, err, began)
		return err
	}
	if p.watch.Wants(ctx) {
		p.watch.Tell(ctx, p.since(began, policy.Decision{
			Action: policy.ActionWait, Reason: policy.ReasonCanceled, Err: end,
		}))
	}
	return end
}

// endOf is why ctx has ended; it matches its Err also where its cause does not.
func endOf(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, ctx.Err()) {
		return cause
	}
	return fmt.Errorf("%w: %w", ctx.Err(), cause)
}
