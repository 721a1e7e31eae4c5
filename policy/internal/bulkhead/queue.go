package bulkhead

import (
	"context"
	"time"
)

// Verdict is how a wait in the queue ended.
type Verdict uint8

// Verdicts.
const (
	Waiting Verdict = iota
	Admitted
	NoQueue    // the limit is reached, and nobody may wait
	Full       // the limit is reached, and no more may wait
	Evicted    // a more important one took the place in the queue
	Expired    // waited for too long
	Unmeetable // too little time is left to end in time
	Canceled   // the caller went away
	Closed     // nobody is let in any more
)

// arrival is one that came and found no place.
type arrival struct {
	rank     Rank
	at       time.Duration
	deadline time.Duration
}

// queuer is one that waits for a place.
type queuer struct {
	arrival
	told         chan struct{} // closed when the verdict is in
	verdict      Verdict       // guarded by the bulkhead's mu until then
	place        Place
	older, newer *queuer
}

// Wait enters after all, or waits in the queue for it.
func (b *Bulkhead) Wait(ctx context.Context, rank Rank) (Place, Verdict) {
	now := b.now()
	a := arrival{rank: min(rank, Ranks-1), at: now, deadline: deadline(ctx, now)}
	b.mu.Lock()
	place, verdict := b.offer(a)
	var q *queuer
	if verdict == Waiting {
		q = b.line.push(a)
	}
	patience := b.bounds.Wait
	b.mu.Unlock()
	if q != nil {
		b.await(ctx, q, patience)
		place, verdict = q.place, q.verdict
	}
	if t := b.teacher.Load(); t != nil && verdict == Admitted {
		place = b.start(t, place)
	}
	return place, verdict
}

// offer finds a place for a, in flight or in the queue; mu must be held.
func (b *Bulkhead) offer(a arrival) (Place, Verdict) {
	for {
		o, ok := b.enter()
		switch {
		case ok:
			return b.place(a, o), Admitted
		case o.closed():
			return Place{}, Closed
		case b.bounds.Queue == 0:
			return Place{}, NoQueue
		case b.hopeless(a, a.at):
			return Place{}, Unmeetable
		case o.Queued() >= b.bounds.Queue && !b.evictFor(a):
			return Place{}, Full
		}
		// A place that has become free since changes the word; so does eviction.
		o = b.Occupancy()
		if o.Queued() == 0 && o.InFlight() < b.Limit() {
			continue
		}
		if b.state.CompareAndSwap(int64(o), int64(o+oneQueued)) {
			return Place{}, Waiting
		}
	}
}

// evictFor makes room in the queue for one that matters more, or as much where
// the newest go first. mu must be held.
func (b *Bulkhead) evictFor(a arrival) bool {
	last := b.line.last()
	if last == nil || last.rank > a.rank || last.rank == a.rank && !b.standing(last, a.at) {
		return false
	}
	b.take(last, Evicted)
	return true
}

// standing reports whether the queue of q's rank, whose oldest q is, has grown so
// old that those in it have hardly a chance.
func (b *Bulkhead) standing(q *queuer, now time.Duration) bool {
	return b.bounds.Standing >= 0 && now-q.at > b.bounds.Standing
}

// hopeless reports whether a has too little time left.
func (b *Bulkhead) hopeless(a arrival, now time.Duration) bool {
	return a.deadline > 0 && a.deadline-now < b.bounds.Typical
}

// handOn gives free places to those who wait; mu must be held. While anyone
// waits, only who holds mu changes who is in flight.
func (b *Bulkhead) handOn() {
	if b.line.occupied == 0 {
		return
	}
	now := b.now()
	for b.Occupancy().InFlight() < b.Limit() {
		q := b.line.first()
		if q == nil {
			return
		}
		if b.standing(q, now) {
			q = b.line.newest(q)
		}
		if b.hopeless(q.arrival, now) {
			b.take(q, Unmeetable)
			continue
		}
		q.place = b.place(q.arrival, Occupancy(b.state.Add(1)))
		b.take(q, Admitted)
	}
}

// place is the place of one that is let in.
func (b *Bulkhead) place(a arrival, o Occupancy) Place {
	if b.teacher.Load() == nil {
		return Place{}
	}
	now := b.now()
	return Place{inFlight: int32(o.InFlight()), waited: now - a.at, granted: now, deadline: a.deadline}
}

// take takes q out of the queue with a verdict; mu must be held.
func (b *Bulkhead) take(q *queuer, v Verdict) {
	b.line.remove(q)
	b.state.Add(-oneQueued)
	q.verdict = v
	close(q.told)
}

// leave takes q out of the queue with a verdict of its own, unless there is one.
func (b *Bulkhead) leave(q *queuer, v Verdict) Verdict {
	b.mu.Lock()
	defer b.mu.Unlock()
	if q.verdict == Waiting {
		b.take(q, v)
	}
	return q.verdict
}

// await waits for the verdict on q, for as long as patience and ctx last; a
// negative patience is without end.
func (b *Bulkhead) await(ctx context.Context, q *queuer, patience time.Duration) {
	var late <-chan time.Time
	if patience >= 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-q.told:
	case <-late:
		b.leave(q, Expired)
	case <-ctx.Done():
	}
	if ctx.Err() == nil {
		return
	}
	if b.leave(q, Canceled) == Admitted {
		b.release() // the place came too late: it is the next one's
		q.verdict = Canceled
	}
}
