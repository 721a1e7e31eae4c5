package pool

import (
	"context"
	"errors"

	"github.com/magnetar-go/magnetar/policy"
)

var errUnfinished = errors.New("its user panicked or ended the goroutine")

// Lease is a connection on loan. It must be ended by one of Release, Discard and
// Detach. It is a small value: copy it freely. Of all copies the first to end it
// counts; what comes later changes nothing and is counted in
// [Stats].StaleReleases. The zero Lease has nothing to give back.
type Lease[T any] struct {
	conn   *conn[T]
	leases uint64
}

func (c *conn[T]) lease() Lease[T] { return Lease[T]{c, c.leases.Load()} }

// Value returns the connection; once the lease has ended, the zero T, for
// another may be using the connection.
func (l Lease[T]) Value() T {
	if l.conn == nil || l.conn.leases.Load() != l.leases {
		var none T
		return none
	}
	return l.conn.value
}

// Release gives the connection back.
func (l Lease[T]) Release() {
	if l.conn != nil {
		l.conn.pool.release(l, intact)
	}
}

// Discard gives the connection back as broken: it is closed, in the background,
// and another is made where one is needed. err, which may be nil, is told as the
// cause.
func (l Lease[T]) Discard(err error) {
	if l.conn == nil {
		return
	}
	p := l.conn.pool
	p.mu.Lock()
	if p.ends(l) {
		p.leave(l.conn, departure{reason: policy.ReasonDiscarded, err: err})
	}
	p.mu.Unlock()
}

// Detach takes the connection out of the pool, which makes room for another,
// and returns it: closing it is now the caller's. Once the lease has ended it
// returns the zero T.
func (l Lease[T]) Detach() T {
	var none T
	if l.conn == nil {
		return none
	}
	p, c := l.conn.pool, l.conn
	p.mu.Lock()
	if !p.ends(l) {
		p.mu.Unlock()
		return none
	}
	now := p.look()
	c.state = left
	p.remove(c)
	p.count.left(policy.ReasonDetached)
	var t told[T]
	p.supply(context.Background(), now, &t)
	p.unlock(t)
	p.watch.Note(context.Background(), policy.Decision{
		Action: policy.ActionRetire, Reason: policy.ReasonDetached,
		Age: age(c.created, now), Reused: l.leases > 0,
	})
	return c.value
}

// condition is what its user thinks of a connection.
type condition uint8

const (
	intact condition = iota
	suspicious
)

func (p *Pool[T]) release(l Lease[T], as condition) {
	at := p.ahead()
	p.mu.Lock()
	if !p.ends(l) {
		p.mu.Unlock()
		return
	}
	c := l.conn
	if w := c.waiter; w != nil { // nobody looks at it any more
		c.waiter = nil
		p.keep(w)
	}
	c.suspect = p.checks && (as == suspicious || p.cfg.CheckAfter < alwaysBelow)
	var t told[T]
	p.put(c, at, &t)
	p.unlock(t)
}

// ends takes the lease as over, and reports whether it was still one.
func (p *Pool[T]) ends(l Lease[T]) bool {
	c := l.conn
	if c.leases.Load() != l.leases {
		p.count.staleReleases++
		return false
	}
	c.leases.Store(l.leases + 1)
	c.taken = nil
	return c.state == lent // else the pool took it back, which is no fault of its user
}
