package redislimit

import (
	"slices"
	"sync"
	"sync/atomic"
)

// tally is what this process knows of the limits of a key. A share of a limit fills up
// in the time in which the whole does: it is as empty as Redis has told, and emptier by
// what was taken here, each unit of which takes as many times longer to come back as
// there are shares.
type tally struct {
	full atomic.Int64 // when all of it has come back
	owes atomic.Bool  // Redis may have to learn of it; set under mu

	mu sync.Mutex
	// Guarded by mu:
	limits []used // a few
}

// used is how much of a share is, by when it is full again: the later, the more.
type used struct {
	name   string
	base   int64  // as Redis has told
	told   int64  // with what it is being told, if it is
	doubt  bool   // of what was told last nobody knows whether Redis has learnt
	tat    int64  // with all that was taken here
	teller *call  // which tells Redis; nil for none
	seen   uint64 // when Redis has last told of it
}

// owed is what is used now since it was no more than that.
func (u *used) owed(now, since int64) int64 { return max(0, u.tat-now) - max(0, since-now) }

// take takes shares, also of what a call has asked for in vain; nil for none.
func (t *tally) take(now int64, shares []charge, c *call) answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := answer{charges: shares, backlogs: make([]int64, len(shares))}
	for i, share := range shares {
		a.backlogs[i] = max(0, t.used(share.name).tat-now)
	}
	if a.taken = admitted(shares, a.backlogs); !a.taken {
		return a
	}
	for i, share := range shares {
		t.used(share.name).tat = now + min(share.after(a.backlogs[i]), longest)
	}
	if c != nil {
		c.alone.Store(true)
	}
	t.changed()
	return a
}

// tell makes a call tell what was taken here, unless another one is on its way with
// some of that: what is told is added, and must be so once.
func (t *tally) tell(now int64, c *call, parts int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.alone.Load() { // some of it may be its own
		return
	}
	c.sent = slices.Clone(c.charges)
	for i := range c.sent {
		u := t.used(c.sent[i].name)
		if owed := u.owed(now, u.base); owed > 0 && u.teller == nil {
			c.sent[i].owed = min((owed+parts-1)/parts, longest)
			u.told, u.teller = u.tat, c
		}
	}
}

// lost makes what a call was to tell untold, unless nobody knows for the second time
// whether Redis has learnt of it: then once is enough.
func (t *tally) lost(c *call, why *fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.limits {
		u := &t.limits[i]
		if u.teller != c {
			continue
		}
		u.teller = nil
		switch {
		case why.undone:
		case u.doubt:
			u.base, u.doubt = max(u.base, u.told), false
		default:
			u.doubt = true
		}
	}
	t.changed()
}

// note takes over how the limits stand, and keeps what Redis knows nothing of. Of
// answers that were under way at the same time the highest counts, for nobody knows
// which was the last.
func (t *tally) note(now int64, c *call, a answer, shares []charge, parts int64, began, order uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, asked := range a.charges {
		share, u := shares[i], t.used(asked.name)
		backlog, rest := a.backlogs[i], times(asked.owed, parts)
		if a.taken {
			backlog = asked.after(backlog)
		}
		if !asked.queues() { // not for a share either
			backlog, rest = min(backlog, share.full), min(rest, share.full, asked.full) // a bucket, of all processes
		}
		owed, told := u.owed(now, u.base), int64(0)
		switch u.teller {
		case nil:
		case c:
			owed, u.teller, u.doubt = u.owed(now, u.told)+rest, nil, false
		default:
			told = owed - u.owed(now, u.told)
		}
		if a.taken && c.alone.Load() { // from both
			owed -= min(owed, share.cost)
		}
		base := now + backlog
		if u.seen >= began {
			base = max(base, u.base)
		}
		u.base, u.told, u.tat, u.seen = base, base+min(told, owed), base+owed, order
	}
	t.changed()
}

// changed is called when the limits have. mu must be held.
func (t *tally) changed() {
	var full int64
	var owes bool
	for _, u := range t.limits {
		full, owes = max(full, u.tat), owes || u.tat > u.base
	}
	t.full.Store(full)
	t.owes.Store(owes)
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
