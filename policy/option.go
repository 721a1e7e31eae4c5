package policy

import "context"

// Option gives a policy a collaborator. The set is closed.
type Option interface{ apply(*options) }

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

// WithObserver tells o every decision of the policy. Default: nobody.
func WithObserver(o Observer) Option {
	return optionFunc(func(opts *options) { opts.watch = newWatch(o) })
}

// WithKey names what the policy guards, in its errors and decisions. Default: "".
func WithKey(key string) Option {
	return optionFunc(func(opts *options) { opts.key = key })
}

// WithName is what the errors and decisions of a [Concurrency] call it, such as
// [PolicyShed]. Default: [PolicyConcurrency].
func WithName(name string) Option {
	return optionFunc(func(opts *options) { opts.name = name })
}

// FailureIf replaces the rule by which Do tells failures of an operation:
// a nil error is a Success; an error for which f returns true is a Failure; any
// other is Ignored. Default: every error is a Failure but the caller's own
// context error, a refusal and what is marked [Permanent].
func FailureIf(f func(error) bool) Option {
	return optionFunc(func(opts *options) { opts.failureIf = f })
}

// RetryIf replaces the rule by which [Retry] tells errors worth another try.
// Default: all but context errors, refusals, ErrMaxRetriesExceeded and what is
// marked [Permanent]; what is marked [Transient] always.
func RetryIf(f func(error) bool) Option {
	return optionFunc(func(opts *options) { opts.retryIf = f })
}

type options struct {
	watch     watch
	key       string
	name      string
	failureIf func(error) bool
	retryIf   func(error) bool
}

func newOptions(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt.apply(&o)
	}
	return o
}

// watch is an observer with its Enabler at hand; the zero value watches nothing.
type watch struct {
	observer Observer
	enabler  Enabler
}

func newWatch(o Observer) watch {
	w := watch{observer: o}
	w.enabler, _ = o.(Enabler)
	return w
}

// wants reports whether a decision is worth building.
func (w watch) wants(ctx context.Context) bool {
	return w.observer != nil && (w.enabler == nil || w.enabler.Enabled(ctx))
}

func (w watch) observe(ctx context.Context, d Decision) { w.observer.Observe(ctx, d) }
