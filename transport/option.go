package transport

import (
	"net/http"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// Option gives the transport a collaborator. The set is closed.
type Option interface{ apply(*Transport) }

type optionFunc func(*Transport)

func (f optionFunc) apply(t *Transport) { f(t) }

// WithTelemetry replaces the default OpenTelemetry observer, otel.New(); nil
// turns spans, metrics and propagation off.
func WithTelemetry(o *otel.Observer) Option {
	return optionFunc(func(t *Transport) { t.otel = o })
}

// WithObserver tells o every decision, beside the telemetry.
func WithObserver(o policy.Observer) Option {
	return optionFunc(func(t *Transport) { t.observers = append(t.observers, o) })
}

// WithClassifier replaces the verdict on a try. It runs at the response headers
// or the error, must not touch the body, and may return def, the kit's own
// verdict. It is not asked about the caller's own cancel.
func WithClassifier(f func(resp *http.Response, err error, def Verdict) Verdict) Option {
	return optionFunc(func(t *Transport) { t.classify = f })
}

// WithKey replaces the key, by which calls share a breaker, limits and budget.
// Default: scheme, host and port of the URL.
func WithKey(f func(*http.Request) string) Option {
	return optionFunc(func(t *Transport) { t.keyOf = f })
}

// WithRateLimit asks the gate that limitOf returns for a key about every try of
// that key, where [Config].RateLimit is asked: before the concurrency limit, so that
// nothing is held while a turn is waited for, and not while the breaker is open. It
// is for limits that differ by key, and for those that a fleet shares, as with the
// package policy/redis. A key whose gate is nil has no limit. Where RateLimit is set
// as well it is asked first, and a try must pass both.
//
// The gate sees the deadline of the call in its context, the total timeout included.
// What its permit holds is given back at the end of the response body.
//
// limitOf is called when a key is first in use, with its name, such as
// "https://api.example.com:443", or what [WithKey] says; and anew for a key that was
// forgotten meanwhile, see [Config].MaxKeys; no key is whose gate has a method Idle,
// as those of the package policy have, that returns false. Keys over the bound share
// 256 gates, those of "(shared 0)" to "(shared 255)". limitOf is called by several
// goroutines at once, must be quick, and must not use the transport. Default: none.
func WithRateLimit(limitOf func(key string) policy.Gate) Option {
	return optionFunc(func(t *Transport) { t.limitOf = limitOf })
}

// WithGate asks g about every try, after the kit's limits and before the
// breaker, and holds its permit to the end of the response body. Gates are
// asked in the order given. A gate may be shared with other transports.
func WithGate(g policy.Gate) Option {
	return optionFunc(func(t *Transport) { t.gates = append(t.gates, g) })
}

// WithSigner runs sign on every try just before it is sent. The request is the
// try's own copy: headers may be set freely. An error ends the call.
func WithSigner(sign func(*http.Request) error) Option {
	return optionFunc(func(t *Transport) { t.sign = sign })
}
