package pool

import (
	"context"
	"math"

	"github.com/magnetar-go/magnetar/policy"
)

// wait takes a place in the queue; it returns what the caller is lent, and when
// it came. mu is held, and is let go.
func (p *Pool[T]) wait(ctx context.Context, patience patience, at int64) (c *conn[T], began int64, err error) {
	began = p.lookAt(at)
	if p.closed {
		p.mu.Unlock()
		return nil, began, p.refuse(ctx, policy.ReasonClosed, began)
	}
	w := p.newWaiter()
	w.ctx, w.began, w.patience = ctx, began, patience
	p.waiting.push(w)
	if p.waiting.len == 1 {
		p.crowded.Store(true)
	}
	var t told[T]
	p.supply(ctx, began, &t)
	if w.queued && p.overfull() {
		p.leaveQueue(w)
		p.keep(w)
		p.unlock(t)
		return nil, began, p.refuse(ctx, policy.ReasonTooManyWaiters, began)
	}
	if at := p.patienceEnds(w); at < p.wakeAt {
		p.wake(at, began)
	}
	p.unlock(t)

	if !w.await() && p.quit(w) {
		return nil, began, p.gaveUp(ctx, began)
	}
	switch {
	case w.err != nil:
		return nil, began, w.err
	case w.why != "":
		return nil, began, p.refuse(ctx, w.why, began)
	}
	return w.conn, began, nil
}

// await reports whether the waiter was told its outcome, or its caller is gone.
func (w *waiter[T]) await() bool {
	done := w.ctx.Done()
	if done == nil {
		<-w.ready
		return true
	}
	select {
	case <-w.ready:
		return true
	case <-done:
		return false
	}
}

// quit takes a caller who is gone out of the queue. One who was served in the
// same moment gives back what it got.
func (p *Pool[T]) quit(w *waiter[T]) bool {
	p.mu.Lock()
	if w.queued {
		p.leaveQueue(w)
		p.keep(w)
		p.mu.Unlock()
		return true
	}
	p.mu.Unlock()
	<-w.ready
	if w.conn == nil {
		return false // it has an outcome as good as the caller's own
	}
	w.conn.lease().Release()
	return true
}

// overfull reports whether more wait than may, beyond those for whom there is
// or could be a connection.
func (p *Pool[T]) overfull() bool {
	if p.cfg.MaxWaiting == 0 {
		return false
	}
	coming := p.checking + max(p.creating, p.max-len(p.conns))
	return p.waiting.len-coming > max(0, p.cfg.MaxWaiting)
}

func (p *Pool[T]) patienceEnds(w *waiter[T]) int64 {
	if p.cfg.AcquireTimeout < 0 {
		return math.MaxInt64
	}
	return later(w.began, int64(p.cfg.AcquireTimeout))
}

// dismiss tells a waiter that it gets nothing.
func (p *Pool[T]) dismiss(w *waiter[T], why policy.Reason, t *told[T]) {
	p.leaveQueue(w)
	w.why = why
	t.add(w)
}

func (p *Pool[T]) leaveQueue(w *waiter[T]) {
	p.waiting.remove(w)
	p.owed = min(p.owed, p.waiting.len)
	if p.waiting.len == 0 {
		p.crowded.Store(false)
		p.doubt = false
	}
}

// maxSpare is how many waiters are kept to be used again.
const maxSpare = 1024

func (p *Pool[T]) newWaiter() *waiter[T] {
	w := p.spare
	if w == nil {
		return &waiter[T]{ready: make(chan struct{}, 1)}
	}
	p.spare, w.next = w.next, nil
	p.spares--
	return w
}

// keep puts aside a waiter that nobody looks at any more.
func (p *Pool[T]) keep(w *waiter[T]) {
	if p.spares == maxSpare {
		return
	}
	w.ctx, w.conn, w.why, w.err = nil, nil, "", nil
	w.next = p.spare
	p.spare = w
	p.spares++
}
