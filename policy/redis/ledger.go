package redislimit

import (
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
}

func newLedger(parts int) *ledger {
	l := &ledger{parts: parts, start: time.Now(), seed: maphash.MakeSeed()}
	l.keys = policy.NewKeyed(localKeys,
		func(string) *tally { return new(tally) },
		func(t *tally) bool { return t.full.Load() <= l.now() })
	return l
}

// take takes this process's share of charges.
func (l *ledger) take(id string, charges []charge) answer { return l.settle(id, l.shares(charges)) }

// note keeps in mind what Redis has said to who told it of debt, so that nobody
// begins anew when it is away.
func (l *ledger) note(id string, a answer, debt uint64) {
	now := l.now()
	l.find(id, now).note(now, a, l.shares(a.charges), debt)
}

// owing is charges with what Redis has yet to learn of, and which debt that is;
// zero for none.
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

// settle takes charges as they are.
func (l *ledger) settle(id string, charges []charge) answer {
	now := l.now()
	return l.find(id, now).take(now, charges)
}

func (l *ledger) find(id string, now int64) *tally {
	if t, ok := l.keys.Lookup(id); ok {
		return t
	}
	if now >= l.packed.Load() {
		if t, ok := l.keys.Get(id); ok {
			return t
		}
		l.packed.Store(now + time.Millisecond.Microseconds())
	}
	return &l.over[maphash.String(l.seed, id)%sharedKeys]
}

// now is in microseconds, and never goes back.
func (l *ledger) now() int64 { return time.Since(l.start).Microseconds() }

// tally is what a key has used of its limits.
type tally struct {
	full atomic.Int64 // when all of it has come back
	owes atomic.Bool  // Redis has to learn of it; set under mu

	mu sync.Mutex
	// Guarded by mu:
	names []string
	tats  []int64
	debt  uint64 // the latest
}

func (t *tally) take(now int64, charges []charge) answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.debt++
	t.owes.Store(true)
	a := answer{charges: charges, backlogs: make([]int64, len(charges)), local: true}
	for i, c := range charges {
		a.backlogs[i] = max(0, t.tats[t.place(c.name)]-now)
	}
	if a.taken = admitted(charges, a.backlogs); !a.taken {
		return a
	}
	for i, c := range charges {
		t.tats[t.place(c.name)] = now + min(c.after(a.backlogs[i]), longest)
	}
	t.full.Store(slices.Max(t.tats))
	return a
}

// owing is charges to a whole that is as empty as this share of it. The other
// processes will say the same of theirs. All who ask say so until one of them has
// an answer: it is no more for being said twice, and some may never get there.
func (t *tally) owing(now int64, charges []charge) ([]charge, uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	charges = slices.Clone(charges) // they may be the limiter's
	for i := range charges {
		c := &charges[i]
		c.least = min(max(0, t.tats[t.place(c.name)]-now), c.ceiling)
	}
	return charges, t.debt
}

// note takes over how the limits stand, in addition to a debt that Redis knows
// nothing of. A share of a bucket is as empty as the whole, and takes as long to
// fill.
func (t *tally) note(now int64, a answer, shares []charge, debt uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	owes := t.owes.Load() && debt != t.debt
	t.owes.Store(owes)
	for i, c := range a.charges {
		backlog := a.backlogs[i]
		if a.taken {
			backlog = c.after(backlog)
		}
		p, tat := t.place(c.name), now+min(backlog, shares[i].most)
		if owes {
			tat = max(tat, t.tats[p])
		}
		t.tats[p] = tat
	}
	t.full.Store(slices.Max(t.tats))
}

// place is where the limit of that name is. There are a few.
func (t *tally) place(name string) int {
	for i, n := range t.names {
		if n == name {
			return i
		}
	}
	t.names, t.tats = append(t.names, name), append(t.tats, 0)
	return len(t.names) - 1
}
