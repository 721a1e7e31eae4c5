package pool

import (
	"math"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// wake has maintain run at a time, which is sooner than it would.
func (p *Pool[T]) wake(at, now int64) {
	p.wakeAt = at
	p.timer.Reset(time.Duration(at - now))
}

// maintain does what only time calls for. Between its runs nobody need look at
// a clock to know whether an idle connection is fresh.
func (p *Pool[T]) maintain() {
	p.mu.Lock()
	now := p.look()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.wakeAt = math.MaxInt64
	p.stillRushing(now)
	var t told[T]
	for w := p.waiting.first; w != nil && p.patienceEnds(w) <= now; w = p.waiting.first {
		p.dismiss(w, policy.ReasonAcquireTimeout, &t)
	}
	p.expireIdle(now)
	p.keepTicking()
	p.markStale(now)
	var leaks []leak
	if now >= later(p.lookedAt, int64(p.cfg.MaintainEvery)) {
		p.lookedAt = now
		p.dropUnused(now)
		leaks = p.findLeaks(now)
	}
	p.supply(p.longestWaiting(), now, &t)
	if at := p.nextWake(now); at < p.wakeAt {
		p.wake(at, now)
	}
	p.unlock(t)
	p.tellLeaks(leaks)
}

// expireIdle lets go of idle connections that are too old.
func (p *Pool[T]) expireIdle(now int64) {
	kept := p.idle[:0]
	stale := p.stale
	for i, c := range p.idle {
		if now < c.expires {
			kept = append(kept, c)
			continue
		}
		if i < p.stale {
			stale--
		}
		p.leave(c, departure{reason: policy.ReasonLifetime})
	}
	clear(p.idle[len(kept):])
	p.idle, p.stale = kept, stale
}

// markStale counts the idle connections that need a check, the first ones.
func (p *Pool[T]) markStale(now int64) {
	if !p.checks {
		return
	}
	for p.stale < len(p.idle) && now >= later(p.idle[p.stale].used, int64(p.cfg.CheckAfter)) {
		p.stale++
	}
}

// dropUnused lets go of connections that nobody used for long, above MinIdle.
func (p *Pool[T]) dropUnused(now int64) {
	if p.cfg.IdleTimeout < 0 {
		return
	}
	for len(p.idle) > p.minIdle && now >= later(p.idle[0].used, int64(p.cfg.IdleTimeout)) {
		p.leave(p.takeOldest(), departure{reason: policy.ReasonIdle})
	}
}

// nextWake is when time next calls for something.
func (p *Pool[T]) nextWake(now int64) int64 {
	at := int64(math.MaxInt64)
	if w := p.waiting.first; w != nil {
		at = p.patienceEnds(w)
	}
	if p.ticking && p.tick > 0 {
		at = min(at, now+int64(p.tick))
	}
	if p.rush.Load() {
		at = min(at, now+rushTick)
	}
	for _, c := range p.conns {
		if c.expires > now { // else it leaves when it is released
			at = min(at, c.expires)
		}
	}
	if p.checks && p.stale < len(p.idle) {
		at = min(at, later(p.idle[p.stale].used, int64(p.cfg.CheckAfter)))
	}
	seldom := p.nextLeak()
	if p.cfg.IdleTimeout > 0 && len(p.idle) > p.minIdle {
		seldom = min(seldom, later(p.idle[0].used, int64(p.cfg.IdleTimeout)))
	}
	return min(at, max(seldom, later(p.lookedAt, int64(p.cfg.MaintainEvery)), now))
}
