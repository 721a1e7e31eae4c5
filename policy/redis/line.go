package redislimit

import (
	"context"
	"sync"
	"sync/atomic"
)

// call is one question to Redis.
type call struct {
	ctx     context.Context // of who asks first; its end is not the others'
	id      string
	charges []charge
	sent    []charge    // the same, with what is owed; of the trip
	alone   atomic.Bool // its caller has taken the charges without Redis

	ended   atomic.Bool   // settled, or left
	settled chan struct{} // closed once the fields below are set
	answer  answer
	err     error
}

func newCall(ctx context.Context, id string, charges []charge) *call {
	return &call{ctx: ctx, id: id, charges: charges, sent: charges, settled: make(chan struct{})}
}

// settle says how the call ended, unless the caller has gone. It is told once the
// returned function is called.
func (c *call) settle(a answer, err error) (tell func()) {
	if !c.ended.CompareAndSwap(false, true) {
		return func() {}
	}
	c.answer, c.err = a, err
	return func() { close(c.settled) }
}

// leave reports whether the caller goes without an answer, or has one after all.
func (c *call) leave() bool { return c.ended.CompareAndSwap(false, true) }

// mostFlying is how many trips are under way at a time. A few, so that a call
// that comes right after a trip has begun need not wait for its end.
const mostFlying = 4

// line is where calls wait for a trip. The trips are its clock: a call that comes
// while few are under way goes at once and alone, and others gather until one is
// back.
type line struct {
	most int // calls on a trip
	// fly goes on a trip with calls, and calls landed once it is over.
	fly func(calls []*call)

	mu sync.Mutex
	// Guarded by mu:
	waiting []*call
	flying  int
}

func (l *line) add(c *call) {
	l.mu.Lock()
	l.waiting = append(l.waiting, c)
	var calls []*call
	if l.flying < mostFlying {
		l.flying++
		calls = l.next()
	}
	l.mu.Unlock()
	if calls != nil {
		go l.fly(calls)
	}
}

// landed lets those go who have gathered meanwhile.
func (l *line) landed() {
	l.mu.Lock()
	calls := l.next()
	if calls == nil {
		l.flying--
	}
	l.mu.Unlock()
	if calls != nil {
		go l.fly(calls)
	}
}

// next are the calls of the next trip, without those whose callers have left;
// nil for none. mu must be held.
func (l *line) next() []*call {
	var calls []*call
	i := 0
	for ; i < len(l.waiting) && len(calls) < l.most; i++ {
		if c := l.waiting[i]; !c.ended.Load() {
			calls = append(calls, c)
		}
	}
	if l.waiting = l.waiting[i:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	return calls
}
