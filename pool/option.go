package pool

import (
	"net/http"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool/internal/watch"
)

// Option gives a [Pool] a collaborator. The set is closed.
type Option interface{ pool(*options) }

// TransportOption gives a [Transport] a collaborator. The set is closed.
type TransportOption interface{ transport(*options) }

// SharedOption is an option of both.
type SharedOption interface {
	Option
	TransportOption
}

// WithTelemetry replaces the default OpenTelemetry observer, otel.New(); nil
// turns spans and metrics off.
func WithTelemetry(o *otel.Observer) SharedOption {
	return sharedOption(func(opts *options) { opts.otel = o })
}

// WithObserver tells o every decision, beside the telemetry.
func WithObserver(o policy.Observer) SharedOption {
	return sharedOption(func(opts *options) { opts.observers = append(opts.observers, o) })
}

// WithKey names the pool in its errors and decisions. Default: "".
func WithKey(key string) Option {
	return poolOption(func(opts *options) { opts.key = key })
}

// WithGate asks g before each connection is made, and tells it what came of it:
// a breaker, say, keeps a dead server from being dialled. Gates are asked in the
// order given, without waiting longer than the creation may take. A gate that
// panics or hangs fails the creation; nil is no gate.
func WithGate(g policy.Gate) Option {
	return poolOption(func(opts *options) {
		if g != nil {
			opts.gates = append(opts.gates, g)
		}
	})
}

// WithBase takes the settings of connections from base, which is cloned: TLS,
// proxy, dialer, buffer sizes and header limits. Default: [http.DefaultTransport].
func WithBase(base *http.Transport) TransportOption {
	return transportOption(func(opts *options) { opts.base = base })
}

// WithResolver finds the addresses of hosts by r. Default: [SystemDNS].
func WithResolver(r Resolver) TransportOption {
	return transportOption(func(opts *options) { opts.resolver = r })
}

// WithBalancer chooses endpoints by b. Default: [PowerOfTwo].
func WithBalancer(b Balancer) TransportOption {
	return transportOption(func(opts *options) { opts.balancer = b })
}

type options struct {
	otel      *otel.Observer
	observers []policy.Observer

	key   string
	gates []policy.Gate

	base     *http.Transport
	resolver Resolver
	balancer Balancer
}

type (
	sharedOption    func(*options)
	poolOption      func(*options)
	transportOption func(*options)
)

func (f sharedOption) pool(o *options)         { f(o) }
func (f sharedOption) transport(o *options)    { f(o) }
func (f poolOption) pool(o *options)           { f(o) }
func (f transportOption) transport(o *options) { f(o) }

func newOptions() options { return options{otel: otel.New()} }

func (o *options) watch() watch.Watch {
	told := policy.Observers(o.observers...)
	if o.otel == nil {
		return watch.New(told)
	}
	return watch.New(o.otel, told)
}
