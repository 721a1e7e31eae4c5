package pool

import (
	"slices"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Stats is a pool at one moment, all of it of the same instant.
type Stats struct {
	MaxSize  int // as configured or resized
	Idle     int // connections ready to be lent
	Active   int // lent, or checked before that
	Creating int // being made
	Closing  int // being closed
	Waiting  int // callers who wait

	Acquires uint64        // connections lent
	Waits    uint64        // of them, to callers who had to wait
	WaitTime time.Duration // that these waited in all, without those who got none
	Timeouts uint64        // callers whose time was up first

	Creates        uint64 // connections made in time
	CreateFailures uint64 // that could not be, came too late, were given up by Retire or Close, or a gate refused
	StaleReleases  uint64 // leases ended more than once
	Leaked         uint64 // leases that were out for longer than LeakAfter

	closes closes
}

// Utilisation is the share of MaxSize that is in use, above 1 while a pool that
// was made smaller has too many.
func (s Stats) Utilisation() float64 { return float64(s.Active) / float64(max(1, s.MaxSize)) }

// Closes returns how many connections have left for a reason, one of
// [policy.ReasonLifetime], ReasonIdle, ReasonUnhealthy, ReasonDiscarded,
// ReasonRetired, ReasonSurplus, ReasonDetached and ReasonClosed.
func (s Stats) Closes(why policy.Reason) uint64 {
	if i := slices.Index(departures[:], why); i >= 0 {
		return s.closes[i]
	}
	return 0
}

// Stats returns the figures of this moment.
func (p *Pool[T]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats()
}

func (p *Pool[T]) stats() Stats {
	return Stats{
		MaxSize:        p.max,
		Idle:           len(p.idle),
		Active:         len(p.conns) - len(p.idle) - p.closing,
		Creating:       p.creating,
		Closing:        p.closing,
		Waiting:        p.waiting.len,
		Acquires:       p.count.acquires,
		Waits:          p.count.waits,
		WaitTime:       time.Duration(p.count.waited),
		Timeouts:       p.count.timeouts,
		Creates:        p.count.creates,
		CreateFailures: p.count.createFailures,
		StaleReleases:  p.count.staleReleases,
		Leaked:         p.count.leaked,
		closes:         p.count.closes,
	}
}

type counters struct {
	acquires, waits, timeouts uint64
	waited                    int64
	creates, createFailures   uint64
	staleReleases, leaked     uint64
	closes                    closes
}

var departures = [...]policy.Reason{
	policy.ReasonLifetime, policy.ReasonIdle, policy.ReasonUnhealthy, policy.ReasonDiscarded,
	policy.ReasonRetired, policy.ReasonSurplus, policy.ReasonDetached, policy.ReasonClosed,
}

type closes [len(departures)]uint64

func (c *counters) left(why policy.Reason) { c.closes[slices.Index(departures[:], why)]++ }
