package middleware

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// bucket is what one key has used of its quotas. The zero bucket has used nothing.
type bucket struct {
	// full is when all of tats are over, to be read without the lock.
	full atomic.Int64

	mu sync.Mutex
	// Guarded by mu:
	plan *plan           // by which tats were reckoned; nil at first
	tats []time.Duration // of each limit, when it is full again; on the ledger's clock
	one  [1]time.Duration
}

// take takes n units under every limit of p, or under none, and tells in levels
// how each stands then.
func (b *bucket) take(p *plan, now time.Duration, n int, levels []policy.StoreLevel) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.follow(p)
	p = b.plan
	admitted := true
	for i := range levels {
		levels[i] = levelOf(p.limits[i], b.tats[i]-now, n)
		admitted = admitted && levels[i].Admitted
	}
	if !admitted || n == 0 {
		return
	}
	for i := range levels {
		levels[i].Reset += time.Duration(n) * p.limits[i].Interval
		levels[i].Remaining -= n
		b.tats[i] = now + levels[i].Reset
	}
	b.full.Store(int64(slices.Max(b.tats)))
}

// idle reports whether the bucket is full, so that a new one would do as well.
func (b *bucket) idle(p *plan, now time.Duration) bool {
	if b.full.Load() > int64(now) || !b.mu.TryLock() {
		return false
	}
	defer b.mu.Unlock()
	b.follow(p)
	return b.full.Load() <= int64(now)
}

// follow reckons in units of the limits of p from when they came into force. A
// unit that was used stays used, whatever the time it takes to come back.
func (b *bucket) follow(p *plan) {
	if b.plan == nil {
		b.plan, b.tats = p, b.one[:]
		if n := len(p.limits); n > len(b.one) {
			b.tats = make([]time.Duration, n)
		}
	}
	if b.plan.number >= p.number { // p may be that of a request that was overtaken
		return
	}
	for i, l := range p.limits {
		backlog := max(0, b.tats[i]-p.since)
		used := float64(backlog) / float64(b.plan.limits[i].Interval)
		full := time.Duration(l.Burst) * l.Interval
		b.tats[i] = p.since + time.Duration(min(used*float64(l.Interval), float64(full)))
	}
	b.plan = p
	b.full.Store(int64(slices.Max(b.tats)))
}

// fresh tells how a bucket stands that nothing was ever taken from.
func fresh(p *plan, levels []policy.StoreLevel) {
	for i := range levels {
		levels[i] = levelOf(p.limits[i], 0, 0)
	}
}

// levelOf is how a bucket stands before n units are taken, if they are. The
// formulae are those of [policy.StoreLimit].
func levelOf(l policy.StoreLimit, backlog time.Duration, n int) policy.StoreLevel {
	full := time.Duration(l.Burst) * l.Interval
	backlog = min(max(backlog, 0), full)
	room := full - backlog
	level := policy.StoreLevel{Remaining: int(room / l.Interval), Reset: backlog}
	switch {
	case n > l.Burst:
		level.RetryAfter = -1
	case time.Duration(n)*l.Interval > room:
		level.RetryAfter = time.Duration(n)*l.Interval - room
	default:
		level.Admitted = true
	}
	return level
}
