package pool

import (
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
	if err = e.refusal(ctx, err); !e.watch.Wants(ctx) {
		return err
	}
	d := policy.Decision{Action: policy.ActionRefuse, Reason: policy.ReasonCanceled, Began: came, Took: time.Since(came), Err: err}
	if own, ok := err.(*policy.Error); ok {
		d.Reason = own.Reason
	}
	e.watch.Tell(ctx, e.figures(d))
	return err
}

func (e *endpoint) refusal(ctx context.Context, err error) error {
	own := policy.Error{Reason: policy.ReasonAcquireTimeout, Policy: policy.PolicyPool, Key: e.target.name, Err: context.DeadlineExceeded}
	limit, ok := errors.AsType[*policy.Error](err)
	switch {
	case ctx.Err() == context.DeadlineExceeded && !errors.Is(err, context.DeadlineExceeded):
		own.Err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	case ctx.Err() == context.DeadlineExceeded:
	case ctx.Err() != nil && !policy.Refused(err), !ok:
		return err // the caller went away
	case limit.Reason == policy.ReasonClosed:
		own.Reason, own.Err = policy.ReasonClosed, nil
	case limit.Reason != policy.ReasonQueueTimeout && limit.Reason != policy.ReasonDeadlineUnmeetable:
		own.Reason, own.Err = policy.ReasonTooManyWaiters, nil
	}
	return &own
}

func (e *endpoint) figures(d policy.Decision) policy.Decision {
	s := e.limit.Stats()
	d.Limit, d.InFlight, d.Queued = s.Limit, s.InFlight, s.Queued
	return d
}
