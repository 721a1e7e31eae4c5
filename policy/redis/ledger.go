package redislimit

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// A ledger holds so many keys, of about 250 bytes each; those over share a few.
const (
	localKeys  = 65_536
	sharedKeys = 256
)

// ledger counts in this process what Redis cannot: a share of each limit, by the
// monotonic clock.
type ledger struct {
	parts int
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
	l := &ledger{parts: parts, start: time.Now(), seed: maphash.MakeSeed()}
	l.keys = policy.NewKeyed(localKeys,
		func(string) *tally { return new(tally) },
		func(t *tally) bool { return t.full.Load() <= l.now() })
	return l
}

// take takes this process's share of charges.
func (l *ledger) take(id string, charges []charge) answer {
	now := l.now()
	t, _ := l.find(id, now)
	return t.take(now, l.shares(charges))
}

// next is a place in the order of trips and answers.
func (l *ledger) next() uint64 { return l.order.Add(1) }

// note keeps in mind what Redis has answered to a call whose trip began then, so that
// nobody begins anew when it is away.
func (l *ledger) note(c *call, a answer, began uint64) {
	now := l.now()
	t, own := l.find(c.id, now)
	if !own { // who knows whose level it was
		began = 0
	}
	t.note(now, a, l.shares(a.charges), noting{c.told, began, l.next()})
}

// owing is charges with what Redis has yet to learn of, and up to which take that
// is; zero for none.
func (l *ledger) owing(id string, charges []charge) ([]charge, uint64) {
	t, ok := l.keys.Lookup(id)
	if !ok || !t.owes.Load() {
		return charges, 0
	}
	return t.owing(l.now(), charges)
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

// tally is what a key has used of its limits.
type tally struct {
	full atomic.Int64 // when all of it has come back
	owes atomic.Bool  // Redis has to learn of it; set under mu

	mu sync.Mutex
	// Guarded by mu:
	limits []used // a few
	takes  uint64 // so far
}

// used is how much of a limit is.
type used struct {
	name string
	tat  int64
	debt uint64 // the latest take that Redis has to learn of; zero for none
	seen uint64 // when Redis has last told of it
}

// noting is what is known of an answer: up to which take Redis was told, when its
// trip began, and that it is noted now.
type noting struct{ told, began, now uint64 }

func (t *tally) take(now int64, charges []charge) answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.takes++
	t.owes.Store(true)
	a := answer{charges: charges, backlogs: make([]int64, len(charges))}
	for i, c := range charges {
		u := t.used(c.name)
		u.debt = t.takes
		a.backlogs[i] = max(0, u.tat-now)
	}
	if a.taken = admitted(charges, a.backlogs); !a.taken {
		return a
	}
	for i, c := range charges {
		t.use(c.name, now+min(c.after(a.backlogs[i]), longest))
	}
	return a
}

// owing is charges to a whole that is as empty as this share of it. The other
// processes will say the same of theirs. All who ask say so until one of them has
// an answer: it is no more for being said twice, and some may never get there.
func (t *tally) owing(now int64, charges []charge) ([]charge, uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	charges = slices.Clone(charges) // they may be the caller's
	for i := range charges {
		c := &charges[i]
		if u := t.used(c.name); u.debt != 0 {
			c.least = min(max(0, u.tat-now), c.ceiling)
		}
	}
	return charges, t.takes
}

// note takes over how the limits stand, in addition to debts that Redis knows
// nothing of: those after the takes that it was told. Of answers that were under way
// at the same time the highest counts, for nobody knows which was the last. A share of
// a bucket is as empty as the whole, and takes as long to fill.
func (t *tally) note(now int64, a answer, shares []charge, n noting) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, c := range a.charges {
		backlog := a.backlogs[i]
		if a.taken {
			backlog = c.after(backlog)
		}
		if c.ceiling == c.full { // nobody queues, not for a share either
			backlog = min(backlog, shares[i].full)
		}
		u, tat := t.used(c.name), now+backlog
		if u.debt > n.told || u.seen >= n.began {
			tat = max(tat, u.tat)
		}
		if u.debt <= n.told {
			u.debt = 0
		}
		u.seen = n.now
		t.use(c.name, tat)
	}
	t.owes.Store(slices.ContainsFunc(t.limits, func(u used) bool { return u.debt != 0 }))
}

// use lets a limit be used until then.
func (t *tally) use(name string, tat int64) {
	t.used(name).tat = tat
	t.full.Store(slices.MaxFunc(t.limits, func(a, b used) int { return cmp.Compare(a.tat, b.tat) }).tat)
}

// used is good until it is called for another limit.
func (t *tally) used(name string) *used {
	for i := range t.limits {
		if t.limits[i].name == name {
			return &t.limits[i]
		}
	}
	t.limits = append(t.limits, used{name: name})
	return &t.limits[len(t.limits)-1]
}
