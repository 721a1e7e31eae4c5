package pool

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool/internal/generation"
	"github.com/magnetar-go/magnetar/pool/internal/watch"
)

// Transport is an [http.RoundTripper] over managed connections: it resolves a
// target to its endpoints, sends each request to one of them that is well, and
// keeps connections no longer than they are good for. It is safe for concurrent
// use, and must be closed.
//
// The request's URL and Host are what servers and certificates see, whatever
// address is dialled.
type Transport struct {
	cfg      TransportConfig
	watch    watch.Watch
	resolver Resolver
	balancer Balancer
	base     atomic.Pointer[http.Transport] // the settings of connections
	sessions tls.ClientSessionCache         // of TLS, for bases that have none

	targets *targets
	keeper  *keeper
	spare   *endpoint             // for targets that are too many
	probing chan struct{}         // a place for each probe that runs
	misled  atomic.Pointer[error] // the first failure of the balancer
	unwatch []func()              // end the measuring and showing of what there is

	life     context.Context // of what runs in the background
	end      context.CancelFunc
	patience context.Context // with requests on connections that are being left
	lose     context.CancelFunc

	drain sync.Once
	cut   atomic.Bool // requests, by the end of Drain's patience

	mu sync.Mutex
	// Guarded by mu:
	closing bool
	tasks   sync.WaitGroup // in the background; Add only
}

var _ http.RoundTripper = (*Transport)(nil)

// NewTransport makes a transport; nothing is dialled and nothing resolved yet.
// The error names every fault of cfg and of the options.
func NewTransport(cfg TransportConfig, opts ...TransportOption) (*Transport, error) {
	o := newOptions()
	o.base, _ = http.DefaultTransport.(*http.Transport)
	o.resolver, o.balancer = SystemDNS(), PowerOfTwo()
	for _, opt := range opts {
		opt.transport(&o)
	}
	if err := validate(cfg, o); err != nil {
		return nil, fmt.Errorf("magnetar: invalid pool.Transport:\n%w", err)
	}
	t := &Transport{
		cfg: cfg.withDefaults(), watch: o.watch(), resolver: o.resolver, balancer: o.balancer,
		keeper: newKeeper(), probing: make(chan struct{}, mostProbes),
		sessions: tls.NewLRUClientSessionCache(0),
	}
	t.life, t.end = context.WithCancel(context.Background())
	t.patience, t.lose = context.WithCancel(context.Background()) //nolint:gosec // Drain calls it
	t.base.Store(t.prepared(o.base))
	t.targets = &targets{transport: t, byKey: make(map[targetKey]*target)}
	t.spare = t.newEndpoint(generation.Config{}, nil, "")
	t.unwatch = []func(){
		o.otel.WatchOpenConnections(t.openConnections), o.otel.WatchEndpoints(t.endpointStates),
		policy.Watch(policy.Observers(o.observers...), t, (*Transport).statuses),
	}
	return t, nil
}

func validate(cfg TransportConfig, o options) error {
	var f policy.Faults
	f.Add("", cfg.Validate())
	f.Add("base", validateBase(o.base))
	if o.resolver == nil {
		f.Addf("resolver", "is missing")
	}
	if o.balancer == nil {
		f.Addf("balancer", "is missing")
	}
	return f.Err()
}

func validateBase(base *http.Transport) error {
	var f policy.Faults
	if base == nil {
		f.Addf("", "is missing")
		return f.Err()
	}
	const why = "must be nil, for net/http would not learn which protocol was agreed on; set TLSClientConfig or DialContext"
	if base.DialTLS != nil { //nolint:staticcheck // it is refused
		f.Addf("DialTLS", why)
	}
	if base.DialTLSContext != nil {
		f.Addf("DialTLSContext", why)
	}
	return f.Err()
}

// What makes a dead connection known that carries nothing, or only waits.
const (
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second
)

// prepared is a copy of base with which TLS sessions are resumed over all
// generations, and quiet HTTP/2 connections are pinged.
func (t *Transport) prepared(base *http.Transport) *http.Transport {
	base = base.Clone()
	if base.TLSClientConfig == nil {
		base.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if base.TLSClientConfig.ClientSessionCache == nil {
		base.TLSClientConfig.ClientSessionCache = t.sessions
	}
	if base.HTTP2 == nil {
		base.HTTP2 = new(http.HTTP2Config)
	}
	base.HTTP2.SendPingTimeout = cmp.Or(base.HTTP2.SendPingTimeout, pingAfter)
	base.HTTP2.PingTimeout = cmp.Or(base.HTTP2.PingTimeout, pingTimeout)
	return base
}

// RoundTrip implements [http.RoundTripper]. Its own errors are a [*policy.Error]
// that matches policy.ErrPoolExhausted when the endpoint stayed full,
// ErrConnectionCreation when no address is known, and ErrClosed; all others are
// net/http's.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !sound(req) {
		return t.base.Load().RoundTrip(req) // for net/http to say what is wrong
	}
	for {
		e, came, err := t.endpointFor(req)
		if err != nil {
			closeBody(req)
			return nil, err
		}
		permit, began, err := e.admit(req.Context(), came)
		switch {
		case err == nil:
			return e.roundTrip(req, began, permit)
		case !e.left(err):
			closeBody(req)
			return nil, err
		}
	}
}

// sound reports whether a request has what it takes to be sent somewhere.
func sound(req *http.Request) bool {
	u := req.URL
	return u != nil && u.Host != "" && req.Header != nil && (u.Scheme == "https" || u.Scheme == "http")
}

// endpointFor chooses an endpoint, which the request has then entered.
func (t *Transport) endpointFor(req *http.Request) (*endpoint, time.Time, error) {
	ctx := req.Context()
	if ctx.Err() != nil {
		return nil, time.Time{}, context.Cause(ctx)
	}
	proxy, err := t.proxyFor(req)
	if err != nil {
		return nil, time.Time{}, err
	}
	avoid := policy.AvoidFromContext(ctx)
	for {
		now := time.Now()
		tgt, err := t.targets.of(req.URL, proxy, momentOf(now))
		if err != nil {
			return nil, now, err
		}
		if tgt == nil {
			return t.unmanaged(req, now)
		}
		e, err := tgt.pick(ctx, avoid, momentOf(now))
		if err != nil {
			return nil, now, err
		}
		if e == nil || !e.enter() {
			continue // it has just gone
		}
		if avoid != nil && e.address != "" {
			avoid.Add(e.address)
		}
		return e, now, nil
	}
}

func (t *Transport) proxyFor(req *http.Request) (*url.URL, error) {
	if proxy := t.base.Load().Proxy; proxy != nil {
		return proxy(req)
	}
	return nil, nil
}

// unmanaged is for a target that is one too many.
func (t *Transport) unmanaged(req *http.Request, now time.Time) (*endpoint, time.Time, error) {
	ctx, key := req.Context(), keyOf(req.URL, nil).String()
	if !t.spare.enter() {
		return nil, now, closedError(key)
	}
	entered := false
	defer func() {
		if !entered { // an observer's panic
			t.spare.exit()
		}
	}()
	if t.watch.Wants(ctx) {
		t.watch.Tell(ctx, policy.Decision{Action: policy.ActionBypass, Reason: policy.ReasonTooManyKeys, Key: key, Began: now})
	}
	entered = true
	return t.spare, now, nil
}

// CloseIdleConnections closes the connections that carry nothing.
func (t *Transport) CloseIdleConnections() {
	for _, e := range t.endpoints() {
		e.set.CloseIdle()
	}
}

// Rotate leaves all connections for new ones: what runs on them finishes. The
// reason is told with the decisions.
func (t *Transport) Rotate(reason string) {
	for _, e := range t.endpoints() {
		e.set.Rotate(context.Background(), policy.ReasonRotated, reason)
	}
}

// Rebase does so with other settings for connections: certificates, a proxy, a
// dialer. base is cloned; the error is what [NewTransport] would say, and then
// nothing changes. Of calls at the same time one wins, for all endpoints.
func (t *Transport) Rebase(base *http.Transport, reason string) error {
	var f policy.Faults
	if f.Add("base", validateBase(base)); f.Err() != nil {
		return fmt.Errorf("magnetar: invalid pool.Transport:\n%w", f.Err())
	}
	base = t.prepared(base)
	t.base.Store(base) // first, so that endpoints made meanwhile have it
	for {
		for _, e := range t.endpoints() {
			e.set.Rebase(context.Background(), base, policy.ReasonRotated, reason)
		}
		latest := t.base.Load()
		if latest == base {
			return nil
		}
		base = latest // of another call, which this one may have undone in part
	}
}

// endpoints are those of all targets, and that of those beyond.
func (t *Transport) endpoints() []*endpoint {
	all := []*endpoint{t.spare}
	for _, tgt := range t.targets.list() {
		all = append(all, tgt.endpoints()...)
	}
	return all
}
