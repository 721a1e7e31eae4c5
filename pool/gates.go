package pool

import (
	"context"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// gates are asked one after the other. They are the user's, as the factory is,
// and may hang, panic or end the goroutine.
type gates []policy.Gate

// permits are what the gates gave for one creation.
type permits []policy.Permit

// admit waits for the gates until ctx ends; what comes later is given back.
func (g gates) admit(ctx context.Context) (permits, error) {
	if len(g) == 0 {
		return nil, nil
	}
	return within(ctx, g.ask, func(all permits) { all.done(ctx, policy.Ignored) })
}

func (g gates) ask(ctx context.Context) (permits, error) {
	all, admitted := make(permits, 0, len(g)), false
	defer func() {
		if !admitted {
			all.done(ctx, policy.Ignored)
		}
	}()
	for _, gate := range g {
		permit, err := gate.Admit(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, permit)
	}
	admitted = true
	return all, nil
}

// end tells the gates the outcome before the next creation asks them, but waits
// for none that hangs.
func (all permits) end(ctx context.Context, most time.Duration, o policy.Outcome) {
	if len(all) == 0 {
		return
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer cancel()
	_ = run(ending, func(context.Context) error {
		all.done(ctx, o)
		return nil
	})
}

// done ends every permit, the last given first, also if one panics.
func (all permits) done(ctx context.Context, o policy.Outcome) {
	for _, permit := range all {
		defer permit.Done(ctx, o)
	}
}
