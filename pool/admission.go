package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// admit gives a request that has entered its turn, and returns when it got it.
// Whoever is refused has left.
func (e *endpoint) admit(ctx context.Context, came time.Time) (p policy.Permit, began time.Time, err error) {
	if e.limit == nil {
		return policy.Permit{}, came, nil
	}
	waits := e.inFlight() > e.transport.cfg.MaxInFlight
	admitted := false
	defer func() {
		if !admitted { // an observer's panic too
			p.Done(ctx, policy.Ignored)
			e.exit()
		}
	}()
	p, err = e.limit.Admit(ctx)
	if err != nil {
		err = e.refused(ctx, came, err)
		return p, came, err
	}
	if waits {
		came = e.waited(ctx, came)
	}
	admitted = true
	return p, came, nil
}

// waited returns the time now, from which on the endpoint is judged.
func (e *endpoint) waited(ctx context.Context, came time.Time) time.Time {
	now := time.Now()
	if e.watch.Wants(ctx) {
		e.watch.Tell(ctx, e.figures(policy.Decision{Action: policy.ActionWait, Began: came, Took: now.Sub(came)}))
	}
	return now
}

// refused says in the pool's words why a request did not get its turn.
func (e *endpoint) refused(ctx context.Context, came time.Time, err error) error {
	if err = e.refusal(ctx, came, err); e.left(err) || !e.watch.Wants(ctx) {
		return err
	}
	d := policy.Decision{Action: policy.ActionRefuse, Reason: policy.ReasonCanceled, Began: came, Took: time.Since(came), Err: err}
	if own, ok := err.(*policy.Error); ok {
		d.Reason = own.Reason
	}
	e.watch.Tell(ctx, e.figures(d))
	return err
}

// left reports whether a request was refused only because the endpoint is being
// left, so that another may take it.
func (e *endpoint) left(err error) bool {
	return e.gone() && e.transport.life.Err() == nil && errors.Is(err, policy.ErrClosed)
}

func (e *endpoint) refusal(ctx context.Context, came time.Time, err error) error {
	limit, ours := errors.AsType[*policy.Error](err)
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return e.exhausted(policy.ReasonAcquireTimeout, e.late(came, err))
	case ctx.Err() != nil && !policy.Refused(err), !ours:
		return err // the caller went away
	case limit.Reason == policy.ReasonClosed:
		return closedError(e.target.name)
	case limit.Reason == policy.ReasonQueueTimeout, limit.Reason == policy.ReasonDeadlineUnmeetable:
		return e.exhausted(policy.ReasonAcquireTimeout, e.late(came, context.DeadlineExceeded))
	}
	return e.exhausted(policy.ReasonTooManyWaiters, errors.New(e.fullness()))
}

func (e *endpoint) exhausted(why policy.Reason, err error) error {
	return &policy.Error{Reason: why, Policy: policy.PolicyPool, Key: e.target.name, Err: err}
}

// late makes err one of a deadline, whatever its cause.
func (e *endpoint) late(came time.Time, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return fmt.Errorf("waited %v, %s: %w", time.Since(came).Round(time.Millisecond), e.fullness(), err)
}

// fullness is for whoever wants to know whether the limit is too low, or the
// endpoint too slow.
func (e *endpoint) fullness() string {
	s := e.limit.Stats()
	return fmt.Sprintf("%d of %d requests in flight and %d waiting at %s", s.InFlight, s.Limit, s.Queued, cmp.Or(e.address, e.target.host))
}

func (e *endpoint) figures(d policy.Decision) policy.Decision {
	s := e.limit.Stats()
	d.Limit, d.InFlight, d.Queued = s.Limit, s.InFlight, s.Queued
	return d
}
