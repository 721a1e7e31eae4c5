package generation

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// gate lets dials through one after the other, and a second one beside one that
// takes long, while a connection may turn out to be one that all who wait can
// share, as HTTP/2 has it: net/http dials for each.
//
// A dial has its turn until its exchange has a connection or is over, or until
// its own connection is picked by any. By then net/http has handed that
// connection to all who wait; those that it has no room for come again. A dial
// whose exchange has a connection is told that it is unwanted, which net/http
// does not look at.
type gate struct {
	crowd atomic.Int32 // dials that have or wait for a turn; nothing is locked while there are none

	mu      sync.Mutex
	dialing []*turn
	waiting []*turn
	timer   *time.Timer
	parked  int64 // when last
	stopped bool
}

// turn is a dial's.
type turn struct {
	exchange *Exchange
	picks    int32 // connections that the exchange had got before
	began    int64 // when it was let
	conn     *conn
	parked   bool          // its exchange is about to get a connection, but look again
	let      chan struct{} // closed when it may go on, or is unwanted
}

const (
	// dialsAtOnce is how many dials run at a time, the next one after stagger.
	dialsAtOnce = 2
	stagger     = 50 * time.Millisecond
	// parkTime is how long exchanges have to pick up a connection that was handed
	// to them.
	parkTime = 100 * time.Millisecond
	// lateTime is how much later than it was handed out a dial may come here for
	// an exchange that gets it: only without TLS are dials so quick that it counts.
	lateTime = 10 * time.Millisecond
)

func (t *turn) wanted() bool {
	return t.exchange.picks.Load() == t.picks && !t.exchange.over.Load()
}

// wait returns once it is the dial's turn.
func (g *gate) wait(ctx context.Context, x *Exchange) (*turn, error) {
	t := &turn{exchange: x, picks: x.picks.Load(), let: make(chan struct{})}
	g.mu.Lock()
	t.parked = x.generation.clear && t.picks == 0 && g.timer != nil && clock()-g.parked < int64(lateTime)
	g.dialing = slices.DeleteFunc(g.dialing, func(t *turn) bool { return t.exchange == x && t.conn != nil }) // it came to nothing
	g.waiting = append(g.waiting, t)
	g.admit()
	g.mu.Unlock()
	select {
	case <-t.let:
	case <-ctx.Done():
		g.remove(t)
		return nil, ctx.Err()
	}
	if !t.wanted() {
		g.remove(t)
		return nil, errUnwanted
	}
	return t, nil
}

// picked is told that x got c.
func (g *gate) picked(x *Exchange, c *conn) {
	if g.crowd.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.protocol.Load() != http2 {
		g.open()
		return
	}
	if slices.ContainsFunc(g.dialing, func(t *turn) bool { return t.conn == c }) {
		g.park()
	}
	g.dialing = slices.DeleteFunc(g.dialing, func(t *turn) bool { return t.conn == c || t.exchange == x })
	g.admit()
}

// ended is told that x is over. Where it could not connect, those who waited for
// that try on their own: one after the other would take too long.
func (g *gate) ended(x *Exchange, err error) {
	if g.crowd.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil && x.conn == nil && x.parent.Err() == nil {
		g.open()
		return
	}
	g.dialing = slices.DeleteFunc(g.dialing, func(t *turn) bool { return t.exchange == x })
	g.admit()
}

// connected is told of the connection that a dial made, and failed of one that
// made none.
func (g *gate) connected(t *turn, c *conn) {
	if t == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t.conn = c
}

func (g *gate) failed(t *turn) {
	if t != nil {
		g.remove(t)
	}
}

func (g *gate) remove(t *turn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	same := func(o *turn) bool { return o == t }
	g.dialing = slices.DeleteFunc(g.dialing, same)
	g.waiting = slices.DeleteFunc(g.waiting, same)
	g.admit()
}

// stop lets all go.
func (g *gate) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
	if g.timer != nil {
		g.timer.Stop()
	}
	g.open()
}

// The rest runs with g.mu held.

// open lets all through that wait.
func (g *gate) open() {
	for _, t := range g.waiting {
		close(t.let)
	}
	g.waiting, g.dialing = nil, nil
	g.crowd.Store(0)
}

// admit gives turns while there are some, and lets those go that are unwanted.
func (g *gate) admit() {
	g.waiting = slices.DeleteFunc(g.waiting, func(t *turn) bool {
		wanted := t.wanted()
		if wanted && !g.stopped && (t.parked || !g.free()) {
			return false
		}
		if wanted && !g.stopped {
			t.began = clock()
			g.dialing = append(g.dialing, t)
			time.AfterFunc(stagger, g.readmit)
		}
		close(t.let)
		return true
	})
	g.crowd.Store(int32(len(g.dialing) + len(g.waiting)))
}

// free reports whether another dial may begin.
func (g *gate) free() bool {
	n := len(g.dialing)
	return n == 0 || n < dialsAtOnce && clock()-g.dialing[n-1].began >= int64(stagger)
}

func (g *gate) readmit() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.admit()
}

// park holds back those who wait: a connection is being handed to them.
func (g *gate) park() {
	for _, t := range g.waiting {
		t.parked = true
	}
	g.parked = clock()
	if g.timer == nil {
		g.timer = time.AfterFunc(parkTime, g.unpark)
	} else {
		g.timer.Reset(parkTime)
	}
}

// unpark lets those dial after all who have got none, and takes the turn of
// those whose connection was closed because net/http had another.
func (g *gate) unpark() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.waiting {
		t.parked = false
	}
	g.dialing = slices.DeleteFunc(g.dialing, func(t *turn) bool {
		return t.conn != nil && t.conn.fate.Load() == closed
	})
	g.admit()
}
