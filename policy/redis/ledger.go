package redislimit

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// A ledger holds so many keys; those over share a few.
const (
	localKeys  = 65_536
	sharedKeys = 256
)

// ledger counts in this process what Redis cannot: a share of each limit, by the
// monotonic clock.
type ledger struct {
	parts int64
	start time.Time
	seed  maphash.Seed
	keys  *policy.Keyed[string, *tally]
	over  [sharedKeys]tally
	// packed is until when it is known that no key has room: to look for some is
	// dear.
	packed atomic.Int64
	order  atomic.Uint64 // of trips and answers
}

func newLedger(parts int) *ledger {
	l := &ledger{parts: int64(parts), start: time.Now(), seed: maphash.MakeSeed()}
	l.keys = policy.NewKeyed(localKeys,
		func(string) *tally { return new(tally) },
		func(t *tally) bool { return t.full.Load() <= l.now() })
	return l
}

// take takes this process's share of what was asked for in vain, by a call if that was
// sent.
func (l *ledger) take(id string, charges []charge, c *call) answer {
	now := l.now()
	t, _ := l.find(id, now)
	return t.take(now, l.shares(charges), c)
}

// depart makes calls tell Redis what it has yet to learn of, just before they go. It is
// the place of their trip in the order.
func (l *ledger) depart(calls []*call) (began uint64) {
	if l == nil {
		return 0
	}
	now := l.now()
	for _, c := range calls {
		if t, ok := l.keys.Lookup(c.id); ok && t.owes.Load() {
			t.tell(now, c, l.parts)
		}
	}
	return l.order.Add(1)
}

// note keeps in mind what Redis has answered to a call whose trip began then, so that
// nobody begins anew when it is away.
func (l *ledger) note(c *call, a answer, began uint64) {
	if l == nil {
		return
	}
	now := l.now()
	t, own := l.find(c.id, now)
	if !own { // who knows whose level it was
		began = 0
	}
	t.note(now, c, a, l.shares(a.charges), l.parts, began, l.order.Add(1))
}

// lost lets others tell what a call has told, for it has no answer. Redis may have
// learnt of it all the same: then it learns of it twice.
func (l *ledger) lost(c *call, why *fault) {
	if l == nil {
		return
	}
	if t, ok := l.keys.Lookup(c.id); ok {
		t.lost(c, why)
	}
}

func (l *ledger) shares(charges []charge) []charge {
	shares := make([]charge, len(charges))
	for i, c := range charges {
		shares[i] = c.share(l.parts)
	}
	return shares
}

// find is the tally of a key, and whether it is its own.
func (l *ledger) find(id string, now int64) (t *tally, own bool) {
	if t, ok := l.keys.Lookup(id); ok {
		return t, true
	}
	if now >= l.packed.Load() {
		if t, ok := l.keys.Get(id); ok {
			return t, true
		}
		l.packed.Store(now + time.Millisecond.Microseconds())
	}
	return &l.over[maphash.String(l.seed, id)%sharedKeys], false
}

// now is in microseconds, and never goes back.
func (l *ledger) now() int64 { return time.Since(l.start).Microseconds() }
