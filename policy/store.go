package policy

import (
	"context"
	"time"
)

// Store keeps what clients have used of their limits where several processes
// share it. It is safe for concurrent use, and holds no lock while it waits for
// an answer.
type Store interface {
	// Take takes n units of key under every one of limits, or under none: it is
	// one atomic step and one round trip, for a check before a charge lets
	// others in between. The levels are those after it, one for each limit and in
	// the same order; the units are taken when all of them are Admitted. With n
	// zero nothing is taken and all admit.
	//
	// A limit belongs to a key and is told from the key's others by its name.
	// Limits and their sizes may differ from call to call; what was used stays.
	//
	// An error says that the store did not answer: nothing is known, and the
	// units may have been taken. One that is a refusal, see [Refused], says that
	// nobody is to be admitted meanwhile; of others the caller decides that. Take
	// returns soon after ctx ends.
	Take(ctx context.Context, key string, n int, limits []StoreLimit) ([]StoreLevel, error)
}

// StoreLimit is a bucket of units that fills up again one by one: the generic
// cell rate algorithm (GCRA) of ITU-T I.371 in its form of virtual scheduling.
// All that is stored for a key is one instant, tat, at which the bucket is full
// again (the theoretical arrival time), and a bucket that is full needs no entry:
//
//	backlog    = min(max(tat-now, 0), Burst*Interval)
//	room       = Burst*Interval - backlog
//	admitted   = n*Interval <= room
//	tat        = now + backlog + n*Interval, if all limits admit
//	tat        = now + backlog, if not, and the bound has cut the backlog
//	remaining  = floor(room / Interval)
//	retryAfter = n*Interval - room, if not admitted
//	reset      = backlog
//
// The bound on the backlog lets nobody be locked out for longer than a full
// bucket takes, even if now jumps back or an old tat is restored; that is why it
// is stored even when nothing is taken. Remaining and
// reset are told after the step.
type StoreLimit struct {
	// Name tells the limits of a key apart, such as "default" or "daily".
	Name string
	// Burst is how many units a full bucket holds; at least 1.
	Burst int
	// Interval is the time in which one unit comes back. It is at least a
	// microsecond and a whole number of them, so that a store that counts in
	// 64-bit floats, as Lua does, is exact until the year 2255.
	Interval time.Duration
}

// StoreLevel is how a key stands under one limit.
type StoreLevel struct {
	// Admitted says that this limit has room for what was asked.
	Admitted bool
	// Remaining is how many units are left.
	Remaining int
	// RetryAfter is when what was asked fits; zero if admitted, negative if it
	// never will, being more than the burst.
	RetryAfter time.Duration
	// Reset is when the bucket is full again.
	Reset time.Duration
}
