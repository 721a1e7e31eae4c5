package redislimit

import (
	"context"
	"errors"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// admission is one caller's way to its turn.
type admission struct {
	*Limiter

	ctx    context.Context
	key    string
	weight int
	limit  *limit // when it began
}

func (l *Limiter) admit(ctx context.Context, key string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	a := admission{l, ctx, key, weightOf(ctx), l.limit.Load()}
	if a.weight == 0 {
		return a.pass()
	}
	c := a.limit.unit.weighing(a.weight)
	if !c.waiting(l.maxWait).admits(0) {
		return a.refuse(0)
	}
	wait := a.longestWait()
	if left, ok := a.limit.left.take(key, a.weight, wait); ok {
		return a.await(left.at)
	}
	return a.ask(c.waiting(wait))
}

// longestWait is how long the caller may wait.
func (a admission) longestWait() time.Duration {
	deadline, ok := a.ctx.Deadline()
	if !ok {
		return a.maxWait
	}
	return max(0, min(a.maxWait, time.Until(deadline)))
}

// ask takes a turn in Redis, or does what is to be done without it.
func (a admission) ask(c charge) error {
	got, err := a.store.ask(a.ctx, a.key, []charge{c})
	switch {
	case err == nil:
		wait := got.charges[0].wait(got.backlogs[0])
		if !got.taken {
			return a.refuse(wait + micros(got.charges[0].owed))
		}
		return a.await(time.Now().Add(wait))
	case a.ctx.Err() != nil:
		return context.Cause(a.ctx)
	case policy.Refused(err):
		a.refused.Add(1)
		a.tell(policy.Decision{Action: policy.ActionRefuse, Reason: policy.ReasonStore, Err: errors.Unwrap(err)})
		return err
	}
	a.bypassed.Add(1)
	a.tell(policy.Decision{Action: policy.ActionBypass, Reason: policy.ReasonStore, Err: err})
	return nil
}

// await waits for the turn, and leaves it to others if that takes too long.
func (a admission) await(at time.Time) error {
	wait := time.Until(at)
	if wait <= 0 {
		return a.pass()
	}
	if deadline, ok := a.ctx.Deadline(); ok && !at.Before(deadline) { // to ask took too long
		a.limit.left.leave(a.key, turn{at, a.weight})
		return a.refuse(wait)
	}
	if err := a.wait(wait); err != nil {
		a.limit.left.leave(a.key, turn{at, a.weight})
		return err
	}
	return a.pass()
}

// wait waits for a turn, or returns the cause of the context.
func (a admission) wait(d time.Duration) error {
	a.waiting.Add(1)
	defer a.waiting.Add(-1)
	began := time.Now()
	timer := time.NewTimer(d)
	defer timer.Stop()
	decision := policy.Decision{Action: policy.ActionWait, Began: began}
	select {
	case <-timer.C:
	case <-a.ctx.Done():
		a.canceled.Add(1)
		decision.Reason, decision.Err = policy.ReasonCanceled, context.Cause(a.ctx)
	}
	decision.Took = time.Since(began)
	a.tell(decision)
	return decision.Err
}

func (a admission) pass() error {
	a.admitted.Add(1)
	a.tell(policy.Decision{Action: policy.ActionAdmit})
	return nil
}

// refuse refuses the caller whose turn would come then; zero: never.
func (a admission) refuse(after time.Duration) error {
	a.refused.Add(1)
	err := &policy.Error{Reason: policy.ReasonRateLimit, Policy: policy.PolicyRateLimit, Key: a.key, RetryAfter: after}
	a.tell(policy.Decision{Action: policy.ActionRefuse, Reason: policy.ReasonRateLimit, RetryAfter: after, Err: err})
	return err
}

func (a admission) tell(d policy.Decision) {
	d.Key, d.Limit = a.key, a.limit.cfg.Limit
	a.options.tell(a.ctx, d)
}
