package pool

import (
	"context"
	"fmt"

	"github.com/magnetar-go/magnetar/policy"
)

// Close closes the pool: who waits or comes is told [policy.ErrClosed], idle
// connections are closed, and it waits for those in use to be released and
// closed. When ctx ends before, those in use are closed under their users, and
// those in a check while IsHealthy runs, and Close returns at once, with an error
// that matches that of ctx. It may be called more than once.
func (p *Pool[T]) Close(ctx context.Context) error {
	p.shut()
	select {
	case <-p.drained:
		return nil
	default:
	}
	select {
	case <-p.drained:
		return nil
	case <-ctx.Done():
	}
	if n := p.force(); n > 0 {
		return fmt.Errorf("magnetar: pool closed with %d connections not closed yet: %w", n, endOf(ctx))
	}
	return nil
}

// shut takes no more callers.
func (p *Pool[T]) shut() {
	p.mu.Lock()
	var t told[T]
	if !p.closed {
		p.closed = true
		p.nextRound(departure{reason: policy.ReasonClosed})
		for w := p.waiting.first; w != nil; w = p.waiting.first {
			p.dismiss(w, policy.ReasonClosed, &t)
		}
	}
	p.unlock(t)
}

// force closes what is in use, and returns how many connections there still are.
func (p *Pool[T]) force() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if c.state != left {
			p.leave(c, departure{reason: policy.ReasonClosed})
		}
	}
	return len(p.conns) + p.creating
}
