package bulkhead

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

// teacher tells an algorithm of the tries.
type teacher struct {
	starter limit.Starter // the algorithm, if it must see them begin
	tries   atomic.Uint64

	mu sync.Mutex
	// Guarded by mu:
	algorithm limit.Algorithm
	named     limit.Bounds
}

// Follow makes alg the one that names the bounds. Those in flight stay.
func (b *Bulkhead) Follow(alg limit.Algorithm) {
	bounds := alg.Bounds()
	if _, fixed := alg.(limit.Fixed); fixed {
		b.teacher.Store(nil)
	} else {
		starter, _ := alg.(limit.Starter)
		b.teacher.Store(&teacher{starter: starter, algorithm: alg, named: bounds})
	}
	b.hold(bounds)
}

// hold keeps to bounds from now on.
func (b *Bulkhead) hold(bounds limit.Bounds) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bounds = bounds
	b.most.Store(int64(bounds.Limit))
	b.handOn()
}

// learn reports whether the limit is another one now.
func (b *Bulkhead) learn(p Place, r limit.Result, excluded time.Duration) bool {
	t := b.teacher.Load()
	if t == nil || p.inFlight == 0 {
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
	b.hold(bounds) // in the order in which they were named
	return bounds.Limit != old.Limit
}

func (t *teacher) start(p Place) Place {
	if t.starter != nil {
		p.try = t.tries.Add(1)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.starter.Start(p.try)
	}
	return p
}
