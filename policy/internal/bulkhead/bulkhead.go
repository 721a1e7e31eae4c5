// Package bulkhead keeps the tries in flight within a limit, and those that wait
// for a place in a short queue.
package bulkhead

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

// Bulkhead holds tries to the bounds that an algorithm names.
//
// While anyone queues, nobody else enters: a place that becomes free is handed to
// one of them.
type Bulkhead struct {
	origin  time.Time
	state   atomic.Int64            // an [Occupancy]; who queues changes only under mu
	most    atomic.Int64            // the limit; changes only under mu
	teacher atomic.Pointer[teacher] // changes only under mu
	tries   atomic.Uint64           // counted for a [limit.Starter]
	drained chan struct{}           // closed when nobody is left after Close; under mu

	mu sync.Mutex
	// Guarded by mu:
	named    limit.Bounds // by the algorithm
	queueCap int          // see Cap
	waitCap  time.Duration
	bounds   limit.Bounds // of all these
	line     line
	paused   int // tries that have lent their place
}

// New returns an empty bulkhead with the bounds that alg names.
func New(alg limit.Algorithm) *Bulkhead {
	b := &Bulkhead{origin: time.Now(), drained: make(chan struct{})}
	b.Follow(alg)
	return b
}

// Occupancy is how many are in flight and how many wait, in one word.
type Occupancy int64

const (
	oneQueued = 1 << 32
	shut      = 1 << 62
	counts    = oneQueued - 1
)

// InFlight is how many have a place.
func (o Occupancy) InFlight() int { return int(o & counts) }

// Queued is how many wait for one.
func (o Occupancy) Queued() int { return int(o &^ shut >> 32) }

func (o Occupancy) closed() bool { return o&shut != 0 }

// Occupancy is that of this moment.
func (b *Bulkhead) Occupancy() Occupancy { return Occupancy(b.state.Load()) }

// Idle reports whether nobody is in flight and nobody waits.
func (b *Bulkhead) Idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Occupancy()&^shut == 0 && b.paused == 0
}

// Limit of tries in flight.
func (b *Bulkhead) Limit() int { return int(b.most.Load()) }

// Place is the right of one try to be in flight, and what is known of it.
type Place struct {
	try      uint64
	inFlight int32 // itself counted; zero: nobody learns from it
	waited   time.Duration
	granted  time.Duration
	deadline time.Duration
}

// Enter takes a place if there is one and nobody waits for it. It returns the
// occupancy by which it decided, with itself counted.
func (b *Bulkhead) Enter(ctx context.Context) (Place, Occupancy, bool) {
	o, ok := b.enter()
	if !ok {
		return Place{}, o, false
	}
	t := b.teacher.Load()
	if t == nil {
		return Place{}, o, true
	}
	now := b.now()
	p := Place{inFlight: int32(o.InFlight()), granted: now, deadline: deadline(ctx, now)}
	return b.start(t, p), o, true
}

func (b *Bulkhead) enter() (Occupancy, bool) {
	for {
		o := b.Occupancy()
		if o.Queued() > 0 || o.closed() || o.InFlight() >= b.Limit() {
			return o, false
		}
		if b.state.CompareAndSwap(int64(o), int64(o+1)) {
			return o + 1, true
		}
	}
}

// Exit gives a place back. excluded is how much of its time the try waited for
// its own caller. Exit reports whether the limit is another one now.
func (b *Bulkhead) Exit(p Place, r limit.Result, excluded time.Duration) bool {
	changed := b.learn(p, r, excluded)
	b.release()
	return changed
}

func (b *Bulkhead) release() {
	for o := b.Occupancy(); o.Queued() == 0; o = b.Occupancy() {
		if b.state.CompareAndSwap(int64(o), int64(o-1)) {
			if o-1 == shut {
				b.left()
			}
			return
		}
	}
	b.mu.Lock()
	b.giveUp()
	b.mu.Unlock()
	b.left() // Close may have emptied the queue meanwhile
}

// giveUp gives a place up to those who wait; mu must be held.
func (b *Bulkhead) giveUp() {
	b.state.Add(-1)
	b.handOn()
}

// Pause lends the place of a try to others.
func (b *Bulkhead) Pause() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.paused++
	b.giveUp()
}

// Resume takes a place back that was lent, over the limit if need be.
func (b *Bulkhead) Resume() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.paused--
	b.state.Add(1)
}

// Quit ends a try whose place is lent. Nothing is learned from it.
func (b *Bulkhead) Quit(p Place) {
	b.learn(p, limit.Dropped, 0)
	b.mu.Lock()
	b.paused--
	b.mu.Unlock()
	b.left()
}

// Close refuses everyone from now on, those who wait too. The channel is closed
// when the last one in flight has left.
func (b *Bulkhead) Close() <-chan struct{} {
	b.mu.Lock()
	for o := b.Occupancy(); !b.state.CompareAndSwap(int64(o), int64(o|shut)); {
		o = b.Occupancy()
	}
	for q := b.line.first(); q != nil; q = b.line.first() {
		b.take(q, Closed)
	}
	b.mu.Unlock()
	b.left()
	return b.drained
}

// left tells Close when the last one has left.
func (b *Bulkhead) left() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Occupancy() != shut || b.paused != 0 {
		return
	}
	select {
	case <-b.drained:
	default:
		close(b.drained)
	}
}

func (b *Bulkhead) now() time.Duration { return time.Since(b.origin) }

// deadline is that of ctx; zero when it has none. It counts from now, not from
// the origin: wall clocks may have been set since.
func deadline(ctx context.Context, now time.Duration) time.Duration {
	d, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	left := min(time.Until(d), math.MaxInt64-now)
	return max(1, now+left)
}
