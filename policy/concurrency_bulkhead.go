package policy

import (
	"container/list"
	"sync"
	"sync/atomic"
)

// bulkhead keeps those in flight within a limit, and those who wait for a place
// in order. It knows nothing of time, nor of who names the limit.
//
// Who queues is in flight's successor: while anyone queues, nobody else enters,
// and a place that becomes free is handed to the first of them.
type bulkhead struct {
	maxQueue int
	state    atomic.Int64 // an occupancy; who queues changes only under mu
	most     atomic.Int64 // the limit; changes only under mu

	mu sync.Mutex
	// Guarded by mu:
	line list.List // of *queuer
}

// occupancy is how many are in flight and how many wait, in one word.
type occupancy int64

const oneQueued = 1 << 32

func (o occupancy) inFlight() int { return int(o % oneQueued) }
func (o occupancy) queued() int   { return int(o / oneQueued) }

// queuer is one that waits; in is closed when it has been given a place.
type queuer struct {
	in    chan struct{}
	place *list.Element
}

func newBulkhead(limit, maxQueue int) *bulkhead {
	b := &bulkhead{maxQueue: maxQueue}
	b.most.Store(int64(limit))
	return b
}

func (b *bulkhead) limit() int           { return int(b.most.Load()) }
func (b *bulkhead) occupancy() occupancy { return occupancy(b.state.Load()) }

// enter takes a place if there is one and nobody waits for it. It returns the
// occupancy by which it decided, with itself counted.
func (b *bulkhead) enter() (occupancy, bool) {
	for {
		o := b.occupancy()
		if o.queued() > 0 || o.inFlight() >= b.limit() {
			return o, false
		}
		if b.state.CompareAndSwap(int64(o), int64(o+1)) {
			return o + 1, true
		}
	}
}

// join enters after all, or queues up. It returns no queuer when there is no
// room for one either.
func (b *bulkhead) join() (*queuer, occupancy, bool) {
	if b.maxQueue == 0 {
		return nil, b.occupancy(), false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		o, ok := b.enter()
		if ok || o.queued() >= b.maxQueue {
			return nil, o, ok
		}
		// A place that has become free since changes the word.
		if b.state.CompareAndSwap(int64(o), int64(o+oneQueued)) {
			q := &queuer{in: make(chan struct{})}
			q.place = b.line.PushBack(q)
			return q, o + oneQueued, false
		}
	}
}

// leave takes q out of the queue. It reports false when q is not in it any
// more, because it has been given a place.
func (b *bulkhead) leave(q *queuer) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-q.in:
		return false
	default:
	}
	b.line.Remove(q.place)
	b.state.Add(-oneQueued)
	return true
}

// exit gives a place back.
func (b *bulkhead) exit() {
	for o := b.occupancy(); o.queued() == 0; o = b.occupancy() {
		if b.state.CompareAndSwap(int64(o), int64(o-1)) {
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Add(-1)
	b.handOn()
}

// resize changes the limit and returns the one before.
func (b *bulkhead) resize(limit int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.most.Swap(int64(limit))
	b.handOn()
	return int(old)
}

// handOn gives free places to those who wait; mu must be held. While anyone
// waits, only who holds mu changes the state.
func (b *bulkhead) handOn() {
	for e := b.line.Front(); e != nil && b.occupancy().inFlight() < b.limit(); e = b.line.Front() {
		q := b.line.Remove(e).(*queuer)
		b.state.Add(1 - oneQueued)
		close(q.in)
	}
}
