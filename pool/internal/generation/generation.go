package generation

import (
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// generation is the connections of a time: one http.Transport, and the
// exchanges that run over it to the end of their bodies. net/http alone would
// keep connections for ever that come back, or are made, after
// CloseIdleConnections; here the last exchange closes what is left.
type generation struct {
	set         *Set
	transport   *http.Transport
	dialContext func(ctx context.Context, network, addr string) (net.Conn, error) // the base's, or nil
	dialPlain   func(network, addr string) (net.Conn, error)                      // likewise
	shared      bool                                                              // its connections may be HTTP/2, so that dials go through the gate
	clear       bool                                                              // HTTP/2 needs no TLS
	hurried     bool                                                              // its connections may be idle for less than is configured
	gate        gate

	refs     atomic.Int64 // exchanges in flight; far below zero once dead
	retired  atomic.Bool
	earliest atomic.Int64 // expiry of its connections

	dying context.Context // ends with it, and so do its dials
	die   context.CancelFunc
	gone  chan struct{} // closed once it is dead and nothing is open

	mu    sync.Mutex
	conns map[*conn]struct{}
	open  int // dials, and connections whose Close has not returned
	dead  bool
	drain *time.Timer
}

// ended is far from zero, so that those who come late see a negative count.
const ended = -1 << 62

// closeTime is how long Close waits for connections that it cut.
const closeTime = time.Second

func newGeneration(s *Set, base *http.Transport) *generation {
	g := &generation{set: s, conns: make(map[*conn]struct{}), gone: make(chan struct{})}
	g.dying, g.die = context.WithCancel(context.Background())
	g.earliest.Store(never)
	allowed := s.idle.allowed()
	g.transport = s.config.transport(base, allowed)
	g.hurried = allowed < 0 || allowed > 0 && g.transport.IdleConnTimeout == time.Duration(allowed)
	g.dialContext, g.dialPlain = base.DialContext, base.Dial //nolint:staticcheck // some bases have nothing else
	g.transport.DialContext = g.dial
	g.clear = unencryptedHTTP2(g.transport)
	g.shared = speaksHTTP2(g.transport) && !g.transport.DisableKeepAlives && g.transport.MaxIdleConnsPerHost >= 0
	return g
}

// enter counts an exchange in. It fails once the generation is dead.
func (g *generation) enter() bool {
	if g.refs.Add(1) > 0 {
		return true
	}
	g.refs.Add(-1)
	return false
}

// leave counts it out. The last one of a retired generation ends it.
func (g *generation) leave() {
	if g.refs.Add(-1) == 0 && g.retired.Load() {
		g.endUnused()
	}
}

func (g *generation) endUnused() {
	if g.refs.CompareAndSwap(0, ended) {
		g.end()
	}
}

func (g *generation) inFlight() int { return int(max(g.refs.Load(), 0)) }

// retire lets the generation end with the exchanges that it carries. It is no
// longer in use.
func (g *generation) retire() {
	g.retired.Store(true)
	g.transport.CloseIdleConnections()
	if limit := g.set.config.DrainTimeout; limit > 0 {
		g.mu.Lock()
		if !g.dead {
			g.drain = time.AfterFunc(limit, func() { g.cut(policy.ReasonDrainTimeout) })
		}
		g.mu.Unlock()
	}
	g.endUnused()
}

// cut ends the generation with what runs on it.
func (g *generation) cut(why policy.Reason) {
	for _, c := range g.end() {
		if c.busy.Load() > 0 {
			c.note(g.dying, why)
		}
	}
}

// end closes all connections, and those that are still being made as soon as
// they are. It returns those that it had.
func (g *generation) end() []*conn {
	g.mu.Lock()
	if g.dead {
		g.mu.Unlock()
		return nil
	}
	g.dead = true
	if g.drain != nil {
		g.drain.Stop()
	}
	conns := slices.Collect(maps.Keys(g.conns))
	empty := g.open == 0
	g.mu.Unlock()

	g.die()
	g.gate.stop()
	g.transport.CloseIdleConnections() // says goodbye where the protocol has a word for it
	for _, c := range conns {
		_ = c.Close()
	}
	if empty {
		g.vanish()
	}
	return conns
}

// finish waits until the generation is gone, but cuts it when ctx ends. It
// reports whether it needed not.
func (g *generation) finish(ctx context.Context) bool {
	select {
	case <-g.gone:
		return true
	case <-ctx.Done():
	}
	whole := g.inFlight() == 0
	g.cut(policy.ReasonClosed)
	timer := time.NewTimer(closeTime)
	defer timer.Stop()
	select {
	case <-g.gone:
	case <-timer.C:
	}
	return whole
}

// dialling counts a dial in. It fails once the generation is dead.
func (g *generation) dialling() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return false
	}
	g.open++
	return true
}

// track takes the connection that a dial made. It fails once the generation is
// dead.
func (g *generation) track(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return false
	}
	g.conns[c] = struct{}{}
	if c.expires < g.earliest.Load() {
		g.earliest.Store(c.expires)
	}
	return true
}

// untrack lets a connection go whose Close has begun, or which is no longer
// ours.
func (g *generation) untrack(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
	if c.expires > g.earliest.Load() || c.expires == never {
		return
	}
	earliest := int64(never)
	for other := range g.conns {
		earliest = min(earliest, other.expires)
	}
	g.earliest.Store(earliest)
}

// settle counts out what is no longer open.
func (g *generation) settle() {
	g.mu.Lock()
	g.open--
	last := g.dead && g.open == 0
	g.mu.Unlock()
	if last {
		g.vanish()
	}
}

func (g *generation) vanish() {
	g.set.forget(g)
	close(g.gone)
}

func (g *generation) tracked() []*conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.conns))
}
