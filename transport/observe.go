package transport

import (
	"context"

	"github.com/magnetar-go/magnetar/policy"
)

// gateObserver passes on what the gates of a key decide. Whether anybody looks
// was asked once, when the call began.
type gateObserver struct{ t *Transport }

func (o gateObserver) Enabled(ctx context.Context) bool {
	if c := callOf(ctx); c != nil {
		return c.observed
	}
	return o.t.wants(ctx)
}

func (o gateObserver) Observe(ctx context.Context, d policy.Decision) {
	if c := callOf(ctx); c != nil {
		d.Attempt = c.tries
	}
	o.t.observer.Observe(ctx, d)
}

func callOf(ctx context.Context) *call {
	switch c := ctx.(type) {
	case *call:
		return c
	case *attempt:
		return c.call
	}
	return nil
}
