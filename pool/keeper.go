package pool

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// keeper is the one goroutine in the background of a transport. It sleeps until
// something is due at a target: an ejection that ends, rates to compare, a
// probe, or the end of one that nobody uses.
type keeper struct {
	started sync.Once
	wake    chan struct{} // holds one call to look at the agenda again

	mu sync.Mutex
	// Guarded by mu:
	agenda agenda
}

func newKeeper() *keeper { return &keeper{wake: make(chan struct{}, 1)} }

// wakeAt makes sure that tgt is looked at when due, or earlier.
func (k *keeper) wakeAt(tgt *target, due moment) {
	k.started.Do(func() {
		t := tgt.transport
		t.background(func() { k.run(t.life) })
	})
	if due == never || !k.bringForward(tgt, due) {
		return
	}
	select {
	case k.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// bringForward reports whether tgt is now the first.
func (k *keeper) bringForward(tgt *target, due moment) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch p := &tgt.plan; {
	case p.index == forgotten:
		return false
	case p.index == unplanned:
		p.due = due
		heap.Push(&k.agenda, tgt)
	case due < p.due:
		p.due = due
		heap.Fix(&k.agenda, p.index)
	}
	return tgt.plan.index == 0
}

func (k *keeper) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := momentOf(time.Now())
		tgt, wait := k.next(now)
		if tgt != nil {
			k.wakeAt(tgt, tgt.keep(now))
			continue
		}
		timer.Stop()
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-timer.C:
		case <-k.wake:
		case <-ctx.Done():
		}
	}
}

// forget takes a target off the agenda for good.
func (k *keeper) forget(tgt *target) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if tgt.plan.index >= 0 {
		heap.Remove(&k.agenda, tgt.plan.index)
	}
	tgt.plan.index = forgotten
}

// next takes a target off the agenda that is due, or tells how long to wait for
// one; 0: there is none.
func (k *keeper) next(now moment) (*target, time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.agenda) == 0 {
		return nil, 0
	}
	if wait := k.agenda[0].plan.due.since(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&k.agenda).(*target), 0
}

// keep does what is due at a target, and returns when it is to be looked at
// again.
func (tgt *target) keep(at moment) moment {
	idle := moment(tgt.used.Load()) + moment(tgt.transport.cfg.TargetIdle)
	if idle <= at {
		if tgt.transport.targets.remove(tgt, at-moment(tgt.transport.cfg.TargetIdle)) {
			tgt.transport.retireTarget(tgt)
			return never
		}
		idle = at + moment(tgt.transport.cfg.TargetIdle)/16
	}
	tgt.returnDue(at)
	return min(idle, tgt.compare(at), tgt.probe(at), tgt.nextReturn())
}

// nextReturn is when the next ejection ends.
func (tgt *target) nextReturn() moment {
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	next := never
	for _, e := range tgt.all {
		if e.health.ejected {
			next = min(next, e.health.until)
		}
	}
	return next
}

// plan is a target's place on the agenda.
type plan struct {
	due   moment
	index int
}

const (
	unplanned = -1
	forgotten = -2
)

// agenda is a heap of targets, the one that is due first on top.
type agenda []*target

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].plan.due < a[j].plan.due }

func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].plan.index, a[j].plan.index = i, j
}

func (a *agenda) Push(x any) {
	tgt := x.(*target)
	tgt.plan.index = len(*a)
	*a = append(*a, tgt)
}

func (a *agenda) Pop() any {
	last := len(*a) - 1
	tgt := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	tgt.plan.index = unplanned
	return tgt
}
