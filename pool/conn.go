package pool

import (
	"slices"
	"sync/atomic"

	"github.com/magnetar-go/magnetar/policy"
)

// conn is a connection and what the pool knows about it.
type conn[T any] struct {
	pool    *Pool[T]
	value   T
	created int64
	expires int64
	round   uint64

	// leases counts those that have ended. A lease knows how many there were
	// before it, and so whether it is still the one.
	leases atomic.Uint64

	// Guarded by the pool's mu:
	state   state
	suspect bool // to be checked however fresh it is
	used    int64
	index   int        // in conns
	waiter  *waiter[T] // who was handed it, kept to be used again
	taken   *taken     // where, if leaks are looked for
}

type state uint8

const (
	resting state = iota
	lent
	inCheck
	left // it is being closed, or was detached
)

// takeFresh takes the connection used last of those that need no check.
func (p *Pool[T]) takeFresh() *conn[T] {
	last := len(p.idle) - 1
	for i := last; i >= p.stale; i-- {
		c := p.idle[i]
		if c.suspect {
			continue
		}
		if i < last {
			copy(p.idle[i:], p.idle[i+1:])
		}
		p.idle[last] = nil
		p.idle = p.idle[:last]
		return c
	}
	return nil
}

// takeLast takes the connection used last.
func (p *Pool[T]) takeLast() *conn[T] {
	last := len(p.idle) - 1
	c := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	p.stale = min(p.stale, last)
	return c
}

// takeOldest takes the connection that was not used for the longest time.
func (p *Pool[T]) takeOldest() *conn[T] {
	c := p.idle[0]
	p.idle = slices.Delete(p.idle, 0, 1)
	p.stale = max(0, p.stale-1)
	return c
}

func (p *Pool[T]) lend(c *conn[T]) {
	c.state = lent
	p.count.acquires++
}

// put gives a connection that is well to the first who waits, or lets it rest. at
// is the time if somebody has read it, or zero, see lookAt.
func (p *Pool[T]) put(c *conn[T], at int64, t *told[T]) {
	if c.round != p.round || p.lately >= c.expires || p.tooMany() {
		p.leave(c, p.whyLeave(c))
		return
	}
	if w := p.waiting.first; w != nil {
		if c.suspect {
			p.startCheck(w.ctx, c)
			return
		}
		p.hand(c, w, p.lookAt(at))
		t.add(w)
		return
	}
	if !p.ticking {
		p.startTicking()
	}
	p.touched = true
	c.state = resting
	c.used = p.lately
	p.idle = append(p.idle, c)
}

// hand lends c to w, who leaves the queue.
func (p *Pool[T]) hand(c *conn[T], w *waiter[T], now int64) {
	p.leaveQueue(w)
	p.lend(c)
	p.handed(now)
	p.count.waits++
	p.count.waited += now - w.began
	w.conn = c
	c.waiter = w
}

func (p *Pool[T]) whyLeave(c *conn[T]) departure {
	switch {
	case p.closed:
		return departure{reason: policy.ReasonClosed}
	case c.round != p.round:
		return departure{reason: policy.ReasonRetired, note: p.note}
	case p.lately >= c.expires:
		return departure{reason: policy.ReasonLifetime}
	}
	return departure{reason: policy.ReasonSurplus}
}

// tooMany reports whether there are more than there may be, apart from those
// that leave already and those that are being made: they may never come, and
// leave if they do.
func (p *Pool[T]) tooMany() bool { return len(p.conns)-p.closing > p.max }

// room reports whether another may be made.
func (p *Pool[T]) room() bool { return len(p.conns)+p.creating < p.max }

func (p *Pool[T]) add(c *conn[T]) {
	c.index = len(p.conns)
	p.conns = append(p.conns, c)
}

func (p *Pool[T]) remove(c *conn[T]) {
	last := len(p.conns) - 1
	moved := p.conns[last]
	p.conns[c.index], moved.index = moved, c.index
	p.conns[last] = nil
	p.conns = p.conns[:last]
}
