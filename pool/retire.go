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

// leave closes a connection in the background. It counts until it is closed, or
// the time for that is over. Whoever held it has taken it out of idle.
func (p *Pool[T]) leave(c *conn[T], d departure) {
	c.state = onLeave
	p.closing++
	p.count.left(d.reason)
	if d.cause == nil {
		d.cause = context.Background()
	}
	go p.dispose(c, d, c.leases.Load() > 0)
}

func (p *Pool[T]) dispose(c *conn[T], d departure, reused bool) {
	began := p.now()
	err := p.closeValue(c.value)
	p.mu.Lock()
	now := p.look()
	p.closing--
	p.remove(c)
	var t told[T]
	p.supply(p.cause(), now, &t)
	p.unlock(t)

	if d.err == nil {
		d.err = err
	}
	p.watch.Note(d.cause, policy.Decision{
		Action: policy.ActionRetire, Reason: d.reason, Note: d.note, Err: d.err,
		Age: age(c.created, began), Reused: reused,
		Began: p.epoch.Add(time.Duration(began)), Took: time.Duration(now - began),
	})
}

// closeValue closes a connection within its time.
func (p *Pool[T]) closeValue(value T) error {
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.CloseTimeout)
	defer cancel()
	return run(ctx, func(context.Context) error { return p.factory.Close(value) })
}

func age(created, now int64) time.Duration { return time.Duration(max(0, now-created)) }
