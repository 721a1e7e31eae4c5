package pool

import (
	"context"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// departure is why a connection leaves.
type departure struct {
	reason policy.Reason
	note   string
	err    error
	cause  context.Context // of it; nil: none
}

// nextRound lets go of the idle connections and of those being made; the others
// leave when they come back. Who waits counts on none of them.
func (p *Pool[T]) nextRound(d departure) {
	p.round++
	p.endRound()
	p.note = d.note
	p.outdated, p.owed = p.creating, 0
	for _, c := range p.idle {
		p.leave(c, d)
	}
	p.idle, p.stale = nil, 0
}

// leave closes a connection in the background. It counts until it is closed, or
// the time for that is over. Whoever held it has taken it out of idle.
func (p *Pool[T]) leave(c *conn[T], d departure) {
	c.state = left
	p.closing++
	p.count.left(d.reason)
	if d.cause == nil {
		d.cause = context.Background()
	}
	go p.dispose(c, d, c.leases.Load() > 0)
}

// dispose tells of the departure while the connection still counts: when Close returns,
// all that were closed are told.
func (p *Pool[T]) dispose(c *conn[T], d departure, reused bool) {
	defer p.countOut(c)
	began := p.now()
	err := p.closeValue(c.value)
	if d.err == nil {
		d.err = err
	}
	p.watch.Note(d.cause, policy.Decision{
		Action: policy.ActionRetire, Reason: d.reason, Note: d.note, Err: d.err,
		Age: age(c.created, began), Reused: reused,
		Began: p.epoch.Add(time.Duration(began)), Took: time.Duration(p.now() - began),
	})
}

// countOut makes room for another.
func (p *Pool[T]) countOut(c *conn[T]) {
	p.mu.Lock()
	p.closing--
	p.remove(c)
	var t told[T]
	p.supply(p.longestWaiting(), p.look(), &t)
	p.unlock(t)
}

// closeValue closes a connection within its time.
func (p *Pool[T]) closeValue(value T) error {
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.CloseTimeout)
	defer cancel()
	return run(ctx, func(context.Context) error { return p.factory.Close(value) })
}

func age(created, now int64) time.Duration { return time.Duration(max(0, now-created)) }
