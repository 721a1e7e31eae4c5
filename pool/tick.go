package pool

import (
	"math"
	"time"
)

// Nobody reads a clock to lend or release a connection. While connections are
// released, maintain looks at the clock every tick, and lately is what it saw:
// it tells of those released since that they were idle for up to a tick longer.
// That some are past their lifetime is seen on time, for maintain runs then. A
// pool that is not used does not tick.

// ticksPerIdle is how many ticks there are in the least time that a connection
// must be idle for something to happen.
const ticksPerIdle = 16

func (p *Pool[T]) setTick() {
	least := time.Duration(math.MaxInt64)
	if p.checks {
		least = min(least, p.cfg.CheckAfter)
	}
	if p.cfg.IdleTimeout > 0 {
		least = min(least, p.cfg.IdleTimeout)
	}
	if least == math.MaxInt64 {
		p.ticking = true // as far as anybody asks
		return
	}
	p.tick = max(least/ticksPerIdle, time.Millisecond)
}

func (p *Pool[T]) now() int64 { return int64(time.Since(p.epoch)) }

// look reads the clock.
func (p *Pool[T]) look() int64 {
	p.lately = max(p.lately, p.now())
	return p.lately
}

// ahead reads the clock before mu is locked, if it is likely to be needed: so
// mu, for which many may be waiting, is held for half as long. Zero: not read.
func (p *Pool[T]) ahead() int64 {
	if p.crowded.Load() && !p.rush.Load() {
		return p.now()
	}
	return 0
}

// lookAt takes over what ahead returned.
func (p *Pool[T]) lookAt(at int64) int64 {
	switch {
	case at != 0:
		p.lately = max(p.lately, at)
	case !p.rush.Load():
		return p.look()
	}
	return p.lately
}

func (p *Pool[T]) startTicking() {
	p.ticking = true
	now := p.look()
	if at := now + int64(p.tick); at < p.wakeAt {
		p.wake(at, now)
	}
}

// keepTicking goes on if a connection was released since the last tick.
func (p *Pool[T]) keepTicking() {
	if p.tick > 0 {
		p.ticking, p.touched = p.touched, false
	}
}
