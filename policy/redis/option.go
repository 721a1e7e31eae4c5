package redislimit

import (
	"cmp"
	"context"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Option gives a [Store] or a [Limiter] a collaborator. The set is closed.
type Option interface{ apply(*options) }

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

// WithObserver tells o every decision, and shows how the store or the limiter
// stands to what of it is a [policy.Watcher]. The transitions of a store's breaker
// are told in their order by a goroutine of their own, shortly after them and with
// no caller waiting; if o panics there, that is dropped. Default: nobody.
func WithObserver(o policy.Observer) Option {
	return optionFunc(func(opts *options) { opts.observer = o })
}

// WithName is what the decisions of a store's breaker have as their key. A
// [Limiter] has its own. Default: "redis".
func WithName(name string) Option {
	return optionFunc(func(opts *options) { opts.name = name })
}

type options struct {
	observer policy.Observer
	name     string
}

func newOptions(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt.apply(&o)
	}
	o.name = cmp.Or(o.name, "redis")
	return o
}

// tell hands d to the observer if that looks.
func (o *options) tell(ctx context.Context, d policy.Decision) {
	if !o.wants(ctx) {
		return
	}
	d.Policy = policy.PolicyRateLimit
	if d.Began.IsZero() {
		d.Began = time.Now()
	}
	o.observer.Observe(ctx, d)
}

func (o *options) wants(ctx context.Context) bool {
	if o.observer == nil {
		return false
	}
	e, ok := o.observer.(policy.Enabler)
	return !ok || e.Enabled(ctx)
}
