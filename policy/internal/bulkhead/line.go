package bulkhead

import "math/bits"

// Rank is where a try stands in the queue: the higher, the sooner.
type Rank uint8

// Ranks is how many there are.
const Ranks = 64

// line is those who wait, by rank and, within a rank, in the order they came.
type line struct {
	ranks    [Ranks]ring
	occupied uint64 // a bit for each rank that has someone
}

// ring is a list through its members.
type ring struct{ oldest, newest *queuer }

func (l *line) push(a arrival) *queuer {
	q := &queuer{arrival: a, told: make(chan struct{})}
	r := &l.ranks[q.rank]
	q.older = r.newest
	if r.newest == nil {
		r.oldest = q
		l.occupied |= 1 << q.rank
	} else {
		r.newest.newer = q
	}
	r.newest = q
	return q
}

func (l *line) remove(q *queuer) {
	r := &l.ranks[q.rank]
	if q.older == nil {
		r.oldest = q.newer
	} else {
		q.older.newer = q.newer
	}
	if q.newer == nil {
		r.newest = q.older
	} else {
		q.newer.older = q.older
	}
	q.older, q.newer = nil, nil
	if r.oldest == nil {
		l.occupied &^= 1 << q.rank
	}
}

// first is the oldest of the highest rank; nil if nobody waits.
func (l *line) first() *queuer {
	if l.occupied == 0 {
		return nil
	}
	return l.ranks[bits.Len64(l.occupied)-1].oldest
}

// last is the oldest of the lowest rank; nil if nobody waits.
func (l *line) last() *queuer {
	if l.occupied == 0 {
		return nil
	}
	return l.ranks[bits.TrailingZeros64(l.occupied)].oldest
}

// newest is the one of q's rank that came last.
func (l *line) newest(q *queuer) *queuer { return l.ranks[q.rank].newest }
