package policy

import (
	"context"
	"errors"
)

// Do runs op under policies, outermost first: Do(ctx, op, retry, breaker) asks
// the breaker anew for every try. A nil policy is left out.
func Do(ctx context.Context, op func(context.Context) error, policies ...Policy) error {
	for i, p := range policies {
		if p != nil {
			return p.Do(ctx, func(ctx context.Context) error {
				return Do(ctx, op, policies[i+1:]...)
			})
		}
	}
	return op(ctx)
}

// Get is [Do] for an operation with a value. With an error the value is that of
// the last try.
func Get[T any](ctx context.Context, op func(context.Context) (T, error), policies ...Policy) (T, error) {
	var v T
	err := Do(ctx, func(ctx context.Context) error {
		var err error
		v, err = op(ctx)
		return err
	}, policies...)
	return v, err
}

// Guard makes a [Policy] of a gate of one's own, with the same rules as the
// Do of the kit's gates.
func Guard(g Gate, opts ...Option) Policy {
	return guard{g, newOptions(opts).failureIf}
}

type guard struct {
	gate      Gate
	failureIf func(error) bool
}

func (g guard) Do(ctx context.Context, op func(context.Context) error) error {
	return do(ctx, g.gate, g.failureIf, op)
}

// do is one try of op under gate. A panic or Goexit of op says nothing about
// the peer, and the permit is given back all the same.
func do(ctx context.Context, g Gate, failureIf func(error) bool, op func(context.Context) error) error {
	permit, err := g.Admit(ctx)
	if err != nil {
		return err
	}
	outcome := Ignored
	defer func() { permit.Done(ctx, outcome) }()
	err = op(ctx)
	outcome = outcomeOf(ctx, err, failureIf)
	return err
}

// outcomeOf is the verdict on a plain operation's error.
func outcomeOf(ctx context.Context, err error, failureIf func(error) bool) Outcome {
	switch {
	case err == nil:
		return Success
	case failureIf != nil:
		if failureIf(err) {
			return Failure
		}
		return Ignored
	case timedOut(err): // whatever op made of it
		return Failure
	case markingOf(err) == permanent, Refused(err), callersOwn(ctx, err):
		return Ignored
	}
	return Failure
}

// timedOut reports whether err is what a [Timeout] returns.
func timedOut(err error) bool {
	e, ok := err.(*Error)
	return ok && e.Reason == ReasonTimeout
}

// callersOwn reports whether err is the end of the caller's own context.
func callersOwn(ctx context.Context, err error) bool {
	if ctx.Err() == nil {
		return false
	}
	return errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))
}
