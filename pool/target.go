package pool

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool/internal/generation"
	"github.com/magnetar-go/magnetar/pool/internal/watch"
)

// target is a host as requests name it, and the endpoints behind it.
type target struct {
	transport *Transport
	key       targetKey
	proxy     *url.URL
	name      string   // in errors and decisions
	host      string   // as URLs mostly spell it
	fixed     []string // its addresses, where there is nothing to resolve
	watch     watch.Watch

	rotation  atomic.Pointer[rotation] // nil until the addresses are known
	used      atomic.Int64             // the moment of the last request, roughly
	refreshAt atomic.Int64             // the moment from which the next request looks the addresses up
	waiting   atomic.Int64             // requests that wait for the first addresses
	asking    atomic.Int64             // calls of the resolver, also such as hang
	gone      atomic.Bool              // out of the map; set with mu held

	mu sync.Mutex
	// Guarded by mu:
	all        []*endpoint
	resolution resolution
	comparedAt moment // when success rates were compared

	plan plan // guarded by keeper.mu
}

func (t *Transport) newTarget(k targetKey, proxy *url.URL, at moment) *target {
	tgt := &target{transport: t, key: k, proxy: proxy, name: k.String(), host: k.urlHost(), fixed: k.fixedAddresses(), comparedAt: at}
	tgt.watch = t.watch.At(tgt.name, "")
	tgt.used.Store(int64(at))
	tgt.refreshAt.Store(int64(never))
	tgt.plan.index = unplanned
	return tgt
}

// is reports whether u names the target as URLs mostly do.
func (tgt *target) is(u *url.URL) bool { return tgt.host == u.Host && tgt.key.scheme == u.Scheme }

// pick chooses an endpoint, which the request has yet to enter. With nil the
// target is to be asked for again: it is gone, or its addresses have just become
// known.
func (tgt *target) pick(ctx context.Context, avoid *policy.Avoid, at moment) (*endpoint, error) {
	tgt.touch(at)
	r := tgt.rotation.Load()
	if r == nil {
		return nil, tgt.firstAddresses(ctx, at)
	}
	if at >= moment(tgt.refreshAt.Load()) {
		tgt.refresh(ctx, at)
	}
	e, err := r.pick(tgt.transport.balancer, avoid, at)
	if err != nil {
		tgt.misled(ctx, err)
	}
	return e, nil
}

// misled tells the first failure of the balancer.
func (tgt *target) misled(cause context.Context, err error) {
	if tgt.transport.misled.CompareAndSwap(nil, &err) {
		tgt.watch.Note(cause, policy.Decision{Action: policy.ActionBypass, Reason: policy.ReasonBalancer, Err: err})
	}
}

// touch notes that the target is in use, exactly enough.
func (tgt *target) touch(at moment) {
	if at.since(moment(tgt.used.Load())) > min(tgt.transport.cfg.TargetIdle/64, time.Second) {
		tgt.used.Store(int64(at))
	}
}

// busy reports whether requests are under way.
func (tgt *target) busy() bool {
	if tgt.waiting.Load() > 0 {
		return true
	}
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	for _, e := range tgt.all {
		if e.inFlight() > 0 {
			return true
		}
	}
	return false
}

// apply takes addresses as those of the target now, and reports whether that
// changes anything. Endpoints that stay keep their state.
func (tgt *target) apply(cause context.Context, addresses []string, at moment) bool {
	tgt.mu.Lock()
	if tgt.gone.Load() {
		tgt.mu.Unlock()
		return false
	}
	added, removed := tgt.exchange(addresses, at)
	if len(added)+len(removed) == 0 {
		tgt.mu.Unlock()
		return false
	}
	returned := tgt.returnSurplus(at)
	panics := tgt.rebuild()
	tgt.mu.Unlock()

	tgt.transport.keeper.wakeAt(tgt, at)
	for _, e := range removed {
		tgt.transport.retire(cause, e, policy.ReasonRemoved)
	}
	tgt.noteReturns(cause, returned, policy.ReasonTooFewHealthy)
	tgt.notePanic(cause, panics)
	return true
}

// exchange replaces the endpoints by those of addresses; mu is held.
func (tgt *target) exchange(addresses []string, at moment) (added, removed []*endpoint) {
	before := make(map[string]*endpoint, len(tgt.all))
	for _, e := range tgt.all {
		before[e.address] = e
	}
	all := make([]*endpoint, 0, len(addresses))
	for _, address := range addresses {
		e, known := before[address]
		if !known {
			e = tgt.newEndpoint(address, at)
			added = append(added, e)
		}
		delete(before, address)
		all = append(all, e)
	}
	for _, e := range before {
		removed = append(removed, e)
	}
	tgt.all = all
	return added, removed
}

// newEndpoint starts slowly, unless it is among the first; mu is held.
func (tgt *target) newEndpoint(address string, at moment) *endpoint {
	e := tgt.transport.newEndpoint(generation.Config{Address: address, Proxy: tgt.proxy}, tgt, tgt.name)
	e.tally.reset(at)
	e.health.planProbe(tgt.transport.cfg.Probe, address, at)
	if tgt.rotation.Load() != nil {
		e.start(at)
	}
	return e
}

// rebuild makes a new rotation and reports whether it is the first in panic; mu
// is held.
func (tgt *target) rebuild() bool {
	r := newRotation(tgt.all, tgt.transport.cfg.PanicThreshold)
	old := tgt.rotation.Swap(r)
	return r.panicking && (old == nil || !old.panicking)
}

// leave ends the target, and returns its endpoints for whoever ends them.
func (tgt *target) leave() []*endpoint {
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	all := tgt.all
	tgt.gone.Store(true)
	tgt.all = nil
	tgt.rotation.Store(&rotation{})
	return all
}

// endpoints are those of now.
func (tgt *target) endpoints() []*endpoint {
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	return slices.Clone(tgt.all)
}
