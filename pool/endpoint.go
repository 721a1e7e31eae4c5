package pool

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool/internal/generation"
	"github.com/magnetar-go/magnetar/pool/internal/watch"
)

// endpoint is one address of a target. It owns the connections to it, and is
// told how each exchange over them goes.
type endpoint struct {
	transport *Transport
	target    *target // nil: of the connections that nobody manages
	address   string  // "ip:port"; empty: net/http finds it
	set       *generation.Set
	watch     watch.Watch
	limit     *policy.Concurrency // nil: none

	latency latency
	tally   tally

	here    atomic.Int64 // requests, and the flag leaving
	vacant  sync.Once
	drained chan struct{} // closed when the last has ended after leave

	started atomic.Int64 // the moment its slow start began; 0: it has none

	health health // guarded by target.mu
}

var _ generation.Owner = (*endpoint)(nil)

// newEndpoint makes an endpoint that dials address, whatever the URL says.
func (t *Transport) newEndpoint(cfg generation.Config, tgt *target, name string) *endpoint {
	e := &endpoint{
		transport: t, target: tgt, address: cfg.Address,
		watch: t.watch.At(name, cfg.Address), drained: make(chan struct{}),
	}
	c := &t.cfg
	cfg.Base = t.base.Load()
	cfg.MaxLifetime, cfg.LifetimeJitter = c.MaxLifetime, c.LifetimeJitter
	cfg.IdleTimeout, cfg.DrainTimeout = c.IdleTimeout, c.DrainTimeout
	cfg.PingAfter, cfg.PingTimeout = c.PingAfter, c.PingTimeout
	cfg.Watch = e.watch
	e.set = generation.New(cfg)
	if tgt != nil && c.MaxInFlight > 0 {
		e.limit = policy.NewConcurrency(policy.ConcurrencyConfig{
			Limit: c.MaxInFlight, MaxQueue: max(c.MaxWaiting, 0), MaxWait: c.AcquireTimeout,
		}, policy.WithName(policy.PolicyPool), policy.WithKey(name))
	}
	return e
}

// leaving is a flag in endpoint.here: nobody enters any more.
const leaving = 1 << 62

// enter counts a request in; false when the endpoint is being left.
func (e *endpoint) enter() bool {
	if e.here.Add(1)&leaving != 0 {
		e.exit()
		return false
	}
	return true
}

func (e *endpoint) exit() {
	if e.here.Add(-1) == leaving {
		e.vacant.Do(func() { close(e.drained) })
	}
}

// leave lets nobody in any more.
func (e *endpoint) leave() {
	if e.here.Or(leaving)&^leaving == 0 {
		e.vacant.Do(func() { close(e.drained) })
	}
}

// gone reports whether the endpoint is being left.
func (e *endpoint) gone() bool { return e.here.Load()&leaving != 0 }

// inFlight is how many requests are here, those that wait for their turn
// included.
func (e *endpoint) inFlight() int { return int(e.here.Load() &^ leaving) }

// hasRoom reports whether a request need not wait for its turn.
func (e *endpoint) hasRoom() bool {
	return e.limit == nil || e.inFlight() < e.transport.cfg.MaxInFlight
}

// roundTrip sends a request that was admitted.
func (e *endpoint) roundTrip(req *http.Request, began time.Time, permit policy.Permit) (*http.Response, error) {
	resp, err := e.set.RoundTrip(req, e, began, permit)
	if own, ok := err.(*policy.Error); ok && own.Reason == policy.ReasonClosed && own.Key == "" {
		err = closedError(keyOf(req.URL, nil).String())
	}
	return resp, err
}

// Headers implements [generation.Owner].
func (e *endpoint) Headers(x *generation.Exchange, resp *http.Response, err error) {
	at := momentOf(time.Now())
	began := momentOf(x.Began)
	x.Outcome = e.verdict(x, resp, err, at.since(began))
	switch x.Outcome {
	case policy.Success:
		e.latency.learn(at.since(began), at)
	case policy.Failure:
		e.failed(x.Request.Context(), began, at, err)
	}
	if err != nil && e.target != nil && dialError(err) {
		e.target.refreshEarly(x.Request.Context(), at)
	}
}

// Ended implements [generation.Owner].
func (e *endpoint) Ended(x *generation.Exchange, err error) {
	defer e.exit()
	ctx := x.Request.Context()
	defer x.Permit.Done(ctx, x.Outcome) // before the exit: who finds room may find a place
	if x.Outcome != policy.Success {
		return
	}
	if err == nil {
		e.succeeded(momentOf(x.Began))
		return
	}
	if x.Outcome = bodyVerdict(x, err); x.Outcome == policy.Failure {
		e.failed(ctx, momentOf(x.Began), momentOf(time.Now()), err)
	}
}

// retire leaves an endpoint that gets no requests any more, in the background:
// those that run may end, those that wait for their turn go elsewhere.
func (t *Transport) retire(cause context.Context, e *endpoint, why policy.Reason) {
	e.leave()
	e.refuseWaiting()
	end := func() {
		e.set.Rotate(cause, why, "")
		ctx, cancel := t.patience, context.CancelFunc(func() {})
		if t.cfg.DrainTimeout > 0 {
			ctx, cancel = context.WithTimeout(ctx, t.cfg.DrainTimeout)
		}
		defer cancel()
		_ = e.close(ctx)
	}
	if !t.background(end) {
		end()
	}
}

// close waits for the requests that are here until ctx ends, and cuts the rest.
func (e *endpoint) close(ctx context.Context) error {
	e.leave()
	select {
	case <-e.drained:
	case <-ctx.Done():
		e.refuseWaiting()
	}
	return e.set.Close(ctx)
}

// refuseWaiting gives nobody a turn any more.
func (e *endpoint) refuseWaiting() {
	if e.limit != nil {
		_ = e.limit.Drain(over) // which need not wait for those that run
	}
}

var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

func closedError(key string) error {
	return &policy.Error{Reason: policy.ReasonClosed, Policy: policy.PolicyPool, Key: key}
}
