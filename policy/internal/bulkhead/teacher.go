package bulkhead

import (
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

// teacher tells an algorithm of the tries.
type teacher struct {
	starter limit.Starter // the algorithm, if it must see them begin
	since   time.Duration // places from before teach it nothing

	mu sync.Mutex
	// Guarded by mu:
	algorithm limit.Algorithm
	named     limit.Bounds
}

// Follow makes alg the one that names the bounds. Those in flight stay.
func (b *Bulkhead) Follow(alg limit.Algorithm) {
	bounds := alg.Bounds()
	var t *teacher
	if _, fixed := alg.(limit.Fixed); !fixed {
		t = &teacher{since: b.now(), algorithm: alg, named: bounds}
		t.starter, _ = alg.(limit.Starter)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.teacher.Store(t)
	b.hold(bounds)
}

// Cap makes the queue, and how long anyone waits in it, other than the algorithm
// names them. Zero leaves them to it; a negative wait is without end.
func (b *Bulkhead) Cap(queue int, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queueCap, b.waitCap = queue, wait
	b.hold(b.named)
}

// hold keeps to bounds from now on, within the caps; mu must be held.
func (b *Bulkhead) hold(bounds limit.Bounds) {
	b.named, b.bounds = bounds, bounds
	if b.queueCap != 0 {
		b.bounds.Queue = b.queueCap
	}
	if b.waitCap != 0 {
		b.bounds.Wait = b.waitCap
	}
	b.most.Store(int64(bounds.Limit))
	b.handOn()
}

// learn reports whether the limit is another one now.
func (b *Bulkhead) learn(p Place, r limit.Result, excluded time.Duration) bool {
	t := b.teacher.Load()
	if t == nil || p.inFlight == 0 || p.granted < t.since {
		return false
	}
	s := limit.Sample{
		Try: p.try, InFlight: int(p.inFlight), Queued: b.Occupancy().Queued(),
		Waited: p.waited, Granted: p.granted, Ended: b.now(), Excluded: excluded, Deadline: p.deadline,
		Result: r,
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.algorithm.Learn(s)
	bounds, old := t.algorithm.Bounds(), t.named
	if bounds == old {
		return false
	}
	t.named = bounds
	b.mu.Lock() // while t.mu is held: bounds are held in the order in which they were named
	defer b.mu.Unlock()
	if b.teacher.Load() != t {
		return false // another algorithm has taken over
	}
	b.hold(bounds)
	return bounds.Limit != old.Limit
}

// start tells the algorithm of a try, where it must know.
func (b *Bulkhead) start(t *teacher, p Place) Place {
	if t.starter == nil || p.inFlight == 0 {
		return p
	}
	p.try = b.tries.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.starter.Start(p.try)
	return p
}
