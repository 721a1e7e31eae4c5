package transport

import (
	"context"
	"fmt"
	"net/http"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// Transport is an [http.RoundTripper] with the chain around it. It is safe for
// concurrent use. See the package comment for the order of the rows.
type Transport struct {
	base        http.RoundTripper
	cfg         Config
	timeouts    Timeouts
	backoff     *policy.Retry // nil: no retries
	keys        *keys
	keyOf       func(*http.Request) string
	classify    func(*http.Response, error, Verdict) Verdict
	limitOf     func(key string) policy.Gate
	gates       []policy.Gate
	sign        func(*http.Request) error
	propagation Propagation
	otel        *otel.Observer
	observers   []policy.Observer // of the user
	observer    policy.Observer   // all of them, or nil
	enabler     policy.Enabler    // of observer, or nil
	results     policy.ResultObserver
}

// New wraps base, or [http.DefaultTransport] when it is nil, with the chain of
// cfg. It panics on what cfg.Validate reports.
func New(base http.RoundTripper, cfg Config, opts ...Option) *Transport {
	if err := cfg.Validate(); err != nil {
		panic(fmt.Errorf("magnetar: invalid transport.Config:\n%w", err))
	}
	if base == nil {
		base = http.DefaultTransport
	}
	t := &Transport{base: base, cfg: cfg.withDefaults(), otel: otel.New()}
	for _, o := range opts {
		o.apply(t)
	}
	if t.cfg.Timeouts != nil {
		t.timeouts = *t.cfg.Timeouts
	}
	if t.cfg.Retry != nil && t.cfg.Retry.MaxRetries > 0 {
		t.backoff = policy.NewRetry(t.cfg.Retry.policy())
	}
	t.observer = policy.Observers(t.observers...)
	if t.otel != nil {
		t.observer = policy.Observers(t.otel, t.observer)
	}
	t.enabler, _ = t.observer.(policy.Enabler)
	t.results = policy.ResultObservers(t.observer)
	t.keys = newKeys(t)
	policy.Watch(t.observer, t, (*Transport).statuses)
	return t
}

// RoundTrip sends req through the chain. The response is the peer's own, with
// its body unread; an error that the kit raised is a [*policy.Error]. There is
// never both.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil || req.Header == nil {
		return t.base.RoundTrip(req) // it says what is missing
	}
	if isUpgrade(req) {
		return t.bypass(req)
	}
	return t.begin(req).roundTrip()
}

// CloseIdleConnections closes those of the base, if it can.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// wants reports whether somebody looks at the decisions of a call.
func (t *Transport) wants(ctx context.Context) bool {
	return t.observer != nil && (t.enabler == nil || t.enabler.Enabled(ctx))
}
