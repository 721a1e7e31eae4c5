// Package watch tells the pool's decisions to whoever looks.
package watch

import (
	"context"
	"time"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// Watch is an observer with its Enabler at hand, and what the decisions told to
// it have in common. The zero value watches nothing.
type Watch struct {
	observer policy.Observer
	enabler  policy.Enabler
	key      string
	endpoint string
}

// New makes a watch of observers, nil ones left out.
func New(observers ...policy.Observer) Watch {
	w := Watch{observer: policy.Observers(observers...)}
	w.enabler, _ = w.observer.(policy.Enabler)
	return w
}

// At returns a watch whose decisions have a key and an endpoint.
func (w Watch) At(key, endpoint string) Watch {
	w.key, w.endpoint = key, endpoint
	return w
}

// Wants reports whether a decision is worth building.
func (w Watch) Wants(ctx context.Context) bool {
	return w.observer != nil && (w.enabler == nil || w.enabler.Enabled(ctx))
}

// Tell hands over a decision that [Watch.Wants] said is wanted. Nothing may be
// locked.
func (w Watch) Tell(ctx context.Context, d policy.Decision) {
	d.Policy = policy.PolicyPool
	if d.Key == "" {
		d.Key = w.key
	}
	if d.Endpoint == "" {
		d.Endpoint = w.endpoint
	}
	if d.Began.IsZero() {
		d.Began = time.Now().Add(-d.Took)
	}
	w.observer.Observe(ctx, d)
}

// Note tells a decision taken in the background, because of what happened in
// cause where something did.
func (w Watch) Note(cause context.Context, d policy.Decision) {
	if w.observer == nil {
		return
	}
	if ctx := otel.Background(cause); w.Wants(ctx) {
		w.Tell(ctx, d)
	}
}
