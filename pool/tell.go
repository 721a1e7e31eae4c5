package pool

import (
	"context"
	"time"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// level is what the metrics tell of the pool.
func (p *Pool[T]) level() otel.PoolLevel {
	s := p.Stats()
	return otel.PoolLevel{Idle: s.Idle, Active: s.Active, Creating: s.Creating, Max: s.MaxSize, Waiting: s.Waiting}
}

// acquired notes and tells that a connection was lent; began is when its caller
// came, or zero if it did not wait.
func (p *Pool[T]) acquired(ctx context.Context, l Lease[T], began int64) {
	if p.cfg.LeakAfter > 0 {
		p.track(ctx, l)
	}
	if p.watch.Wants(ctx) {
		p.tellAcquired(ctx, l, began)
	}
}

// tellAcquired gives the connection back if an observer panics or ends the
// goroutine, for then its caller does not get it.
func (p *Pool[T]) tellAcquired(ctx context.Context, l Lease[T], began int64) {
	done := false
	defer func() {
		if !done {
			l.Release()
		}
	}()
	now := p.now()
	if began == 0 {
		began = now
	}
	s := p.Stats()
	p.watch.Tell(ctx, policy.Decision{
		Action: policy.ActionAcquire,
		Age:    age(l.conn.created, now), Reused: l.leases > 0,
		Began: p.epoch.Add(time.Duration(began)), Took: time.Duration(now - began),
		Limit: s.MaxSize, InFlight: s.Active, Queued: s.Waiting,
	})
	done = true
}

func (p *Pool[T]) refused(ctx context.Context, err *policy.Error, began int64) {
	if !p.watch.Wants(ctx) {
		return
	}
	s := p.Stats()
	p.watch.Tell(ctx, p.since(began, policy.Decision{
		Action: policy.ActionRefuse, Reason: err.Reason, Err: err.Err,
		Limit: s.MaxSize, InFlight: s.Active, Queued: s.Waiting,
	}))
}

func (p *Pool[T]) since(began int64, d policy.Decision) policy.Decision {
	d.Began = p.epoch.Add(time.Duration(began))
	d.Took = time.Duration(p.now() - began)
	return d
}
