package pool

import "time"

// Where many wait, the two looks at the clock that a wait takes, one at each end,
// cost a tenth of it. So in a rush, when connections are handed on rushAt times
// in a rushTick or more, maintain looks every rushTick instead, and a wait is
// known to within one; summed up, what is too long and what is too short cancel
// out.
const (
	rushTick = int64(time.Millisecond)
	rushAt   = 64
)

// handed counts a connection that is handed on, and tells a rush.
func (p *Pool[T]) handed(now int64) {
	p.hands++
	if p.hands < rushAt || p.rush.Load() {
		return
	}
	if now-p.handsFrom < rushTick {
		p.rush.Store(true)
		if at := now + rushTick; at < p.wakeAt {
			p.wake(at, now)
		}
	}
	p.hands, p.handsFrom = 0, now
}

// stillRushing ends a rush that is over.
func (p *Pool[T]) stillRushing(now int64) {
	if !p.rush.Load() {
		return
	}
	if p.hands < rushAt {
		p.rush.Store(false)
	}
	p.hands, p.handsFrom = 0, now
}
