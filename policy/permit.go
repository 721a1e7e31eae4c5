package policy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy/internal/bulkhead"
)

// Permit is the right to one try. It is a small value: copy it freely. The zero
// Permit is valid and has nothing to give back.
//
// Behind a permit is a slot that is used again once the try has ended; the
// round tells a permit whose slot has moved on.
type Permit struct {
	slot *slot
	tag  uint64 // the round, and the flags below
}

const (
	tagTrial = 1 << iota
	tagTimed
	tagLent
)

const tagFlags = 3

func (p Permit) round() uint64 { return p.tag >> tagFlags }
func (p Permit) timed() bool   { return p.tag&tagTimed != 0 }
func (p Permit) lent() bool    { return p.tag&tagLent != 0 }

// Done ends the try; only the first call on any copy of the permit counts. ctx
// is the try's, so that what its outcome causes can be linked to it.
func (p Permit) Done(ctx context.Context, o Outcome) {
	if p.slot == nil || !p.slot.round.CompareAndSwap(p.round(), p.round()+1) {
		return
	}
	p.slot.owner.end(ctx, p.slot, o)
	p.slot.owner, p.slot.epoch = nil, nil
	slots.Put(p.slot)
}

// Trial reports whether the try is one of the few by which an open breaker
// learns that its peer is back. A trial is best ended as soon as its outcome is
// known, for its slot is scarce.
func (p Permit) Trial() bool { return p.tag&tagTrial != 0 }

// Responded notes that the response has begun: a breaker that watches for slow
// calls takes the time until now, not until Done.
func (p Permit) Responded() {
	if p.timed() && p.slot.round.Load() == p.round() {
		p.slot.responded.Store(sinceBase() | 1)
	}
}

// Pause lends the place of a try under a [Concurrency] to others, while the try
// waits for its own caller: for a slow reader, say. Other permits have nothing
// to lend. Pause, Resume and Exclude must not run at the same time as Done.
func (p Permit) Pause() {
	if p.lent() && p.slot.round.Load() == p.round() && p.slot.paused.CompareAndSwap(false, true) {
		p.slot.owner.(*Concurrency).bulkhead.Pause()
	}
}

// Resume takes back what Pause lent, beyond the limit if need be.
func (p Permit) Resume() {
	if p.lent() && p.slot.round.Load() == p.round() && p.slot.paused.CompareAndSwap(true, false) {
		p.slot.owner.(*Concurrency).bulkhead.Resume()
	}
}

// Exclude leaves d out of the time that a [Concurrency] takes the try to have
// lasted: time in which it waited for its own caller.
func (p Permit) Exclude(d time.Duration) {
	if p.lent() && p.slot.round.Load() == p.round() {
		p.slot.excluded.Add(int64(d))
	}
}

// NewPermit makes a permit for a gate of one's own. The first Done calls done,
// later ones do nothing; a nil done has nothing to give back.
func NewPermit(done func(context.Context, Outcome)) Permit {
	if done == nil {
		return Permit{}
	}
	return issue(ownerFunc(done), grant{})
}

// owner is the policy that a permit goes back to.
type owner interface {
	end(ctx context.Context, s *slot, o Outcome)
}

type ownerFunc func(context.Context, Outcome)

func (f ownerFunc) end(ctx context.Context, _ *slot, o Outcome) { f(ctx, o) }

// grant is what a breaker noted when it gave out a permit.
type grant struct {
	epoch *epoch
	trial uint64 // number of the trial, or zero
	began int64  // see sinceBase; only of timed permits
}

type slot struct {
	round     atomic.Uint64
	responded atomic.Int64 // zero: not noted; only of timed permits
	excluded  atomic.Int64 // of a lent one
	paused    atomic.Bool  // of a lent one

	// Owned by whoever has just taken or ended the slot:

	owner owner
	grant
	place bulkhead.Place // of a lent one
}

var slots = sync.Pool{New: func() any { return new(slot) }}

// issue makes a permit that goes back to o.
func issue(o owner, g grant) Permit {
	s := slots.Get().(*slot)
	s.owner, s.grant = o, g
	p := Permit{slot: s, tag: s.round.Load() << tagFlags}
	if g.trial != 0 {
		p.tag |= tagTrial
	}
	if g.began != 0 {
		p.tag |= tagTimed
		s.responded.Store(0) // a late Responded may have left something
	}
	return p
}

// lend makes a permit whose place may be lent. Stores that others may see cost
// more than loads, and are rarely needed.
func lend(c *Concurrency, place bulkhead.Place) Permit {
	s := slots.Get().(*slot)
	s.owner, s.place = c, place
	if s.excluded.Load() != 0 {
		s.excluded.Store(0)
	}
	if s.paused.Load() {
		s.paused.Store(false)
	}
	return Permit{slot: s, tag: s.round.Load()<<tagFlags | tagLent}
}

// base makes monotonic times fit in a word. Times before it are negative, as in
// a synctest bubble, whose clock starts in the year 2000.
var base = time.Now()

// sinceBase is the monotonic time, never zero.
func sinceBase() int64 { return int64(time.Since(base)) | 1 }
