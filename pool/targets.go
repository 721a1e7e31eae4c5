package pool

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/magnetar-go/magnetar/policy"
)

// targets is the bounded map of those that requests name.
type targets struct {
	transport *Transport
	last      atomic.Pointer[target] // most clients call one host most of the time

	mu sync.RWMutex
	// Guarded by mu:
	byKey  map[targetKey]*target
	unused []*target // the longest unused when last looked, the longest last
	closed bool
}

// of returns the target of u, and nil when there are too many.
func (ts *targets) of(u, proxy *url.URL, at moment) (*target, error) {
	if tgt := ts.last.Load(); tgt != nil && proxy == nil && tgt.is(u) && !tgt.gone.Load() {
		return tgt, nil
	}
	k := keyOf(u, proxy)
	tgt, err := ts.find(k)
	if err == nil && tgt == nil {
		tgt, err = ts.add(k, proxy, at)
	}
	if tgt != nil && tgt.is(u) && proxy == nil {
		ts.last.Store(tgt)
	}
	return tgt, err
}

func (ts *targets) find(k targetKey) (*target, error) {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	if ts.closed {
		return nil, closedError(k.String())
	}
	return ts.byKey[k], nil
}

func (ts *targets) add(k targetKey, proxy *url.URL, at moment) (*target, error) {
	fresh := ts.transport.newTarget(k, proxy, at)
	tgt, victim, err := ts.insert(fresh)
	if victim != nil {
		ts.transport.retireTarget(victim)
	}
	if tgt == fresh {
		ts.transport.keeper.wakeAt(tgt, at+moment(ts.transport.cfg.TargetIdle))
	}
	return tgt, err
}

// insert adds fresh, unless its key is there meanwhile. A target that had to go
// for it is for the caller to end.
func (ts *targets) insert(fresh *target) (tgt, victim *target, err error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.closed {
		return nil, nil, closedError(fresh.name)
	}
	if tgt = ts.byKey[fresh.key]; tgt != nil {
		return tgt, nil, nil
	}
	if len(ts.byKey) >= ts.transport.cfg.MaxTargets {
		if victim = ts.victim(); victim == nil {
			return nil, nil, nil
		}
		ts.forget(victim)
	}
	ts.byKey[fresh.key] = fresh
	return fresh, victim, nil
}

// victim is the longest unused target without requests; mu is held. All are
// looked at once for a part of them, not for each.
func (ts *targets) victim() *target {
	for refilled := false; ; refilled = true {
		for len(ts.unused) > 0 {
			tgt := ts.unused[len(ts.unused)-1]
			ts.unused = ts.unused[:len(ts.unused)-1]
			if ts.byKey[tgt.key] == tgt && !tgt.busy() {
				return tgt
			}
		}
		if refilled {
			return nil
		}
		ts.refill()
	}
}

func (ts *targets) refill() {
	for _, tgt := range ts.byKey {
		if !tgt.busy() {
			ts.unused = append(ts.unused, tgt)
		}
	}
	slices.SortFunc(ts.unused, func(a, b *target) int { return cmp.Compare(b.used.Load(), a.used.Load()) })
	const part = 16
	if n := len(ts.unused); n > part {
		ts.unused = append([]*target(nil), ts.unused[n-n/part:]...)
	}
}

// remove takes tgt out if it was not used since, and reports whether it did.
func (ts *targets) remove(tgt *target, since moment) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.byKey[tgt.key] != tgt || moment(tgt.used.Load()) > since || tgt.busy() {
		return false
	}
	ts.forget(tgt)
	return true
}

// forget a target; mu is held.
func (ts *targets) forget(tgt *target) {
	delete(ts.byKey, tgt.key)
	ts.last.CompareAndSwap(tgt, nil)
}

// list returns all targets, by name.
func (ts *targets) list() []*target {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	return ts.sorted()
}

func (ts *targets) sorted() []*target {
	all := make([]*target, 0, len(ts.byKey))
	for _, tgt := range ts.byKey {
		all = append(all, tgt)
	}
	slices.SortFunc(all, func(a, b *target) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.key.proxy, b.key.proxy))
	})
	return all
}

// close lets no more targets in, and returns those that were there.
func (ts *targets) close() []*target {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	all := ts.sorted()
	ts.closed, ts.byKey, ts.unused = true, nil, nil
	ts.last.Store(nil)
	return all
}

// retireTarget ends a target that is no longer in the map.
func (t *Transport) retireTarget(tgt *target) {
	t.keeper.forget(tgt)
	for _, e := range tgt.leave() {
		t.retire(context.Background(), e, policy.ReasonUnused)
	}
}
