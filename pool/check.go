package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// alwaysBelow is the CheckAfter that no connection is too fresh for.
const alwaysBelow = time.Millisecond

// startCheck asks a connection in the background whether it is well. If so it is
// given to the first who waits.
func (p *Pool[T]) startCheck(cause context.Context, c *conn[T]) {
	c.state = inCheck
	p.checking++
	p.owed = min(p.owed+1, p.waiting.len)
	go p.check(cause, c)
}

func (p *Pool[T]) check(cause context.Context, c *conn[T]) {
	err := p.healthy(cause, c)
	p.mu.Lock()
	now := p.look()
	var t told[T]
	p.checking--
	p.owed = max(0, p.owed-1)
	p.doubt = err != nil && p.waiting.len > 0
	switch {
	case c.state != inCheck: // it was closed meanwhile
	case err == nil:
		c.suspect = false
		p.put(c, now, &t)
	default:
		p.trouble.check, p.trouble.checkAt = err, now
		p.leave(c, departure{reason: policy.ReasonUnhealthy, err: err, cause: cause})
	}
	p.supply(p.longestWaiting(), now, &t)
	p.unlock(t)
}

func (p *Pool[T]) healthy(cause context.Context, c *conn[T]) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cause), p.cfg.CheckTimeout)
	defer cancel()
	err := run(ctx, func(ctx context.Context) error { return p.factory.IsHealthy(ctx, c.value) })
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = &policy.Error{
			Reason: policy.ReasonCheckTimeout, Policy: policy.PolicyPool, Key: p.key,
			Err: fmt.Errorf("no word within %v: %w", p.cfg.CheckTimeout, err),
		}
	}
	return &policy.Error{Reason: policy.ReasonUnhealthy, Policy: policy.PolicyPool, Key: p.key, Err: err}
}
