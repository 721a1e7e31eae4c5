package pool

import (
	"context"
	"sync/atomic"
)

// Drain takes no more requests, which get an error matching policy.ErrClosed,
// and waits for those that run; when ctx ends, it cuts them. It returns when all
// connections are closed and nothing runs in the background any more, with the
// cause of ctx if it cut any.
func (t *Transport) Drain(ctx context.Context) error {
	t.end()
	stop := context.AfterFunc(ctx, t.lose)
	defer stop()

	left := []*endpoint{t.spare}
	for _, tgt := range t.targets.close() {
		t.keeper.forget(tgt)
		left = append(left, tgt.leave()...)
	}
	cut := t.closeAll(left)
	t.tasks.Wait()
	t.base.Load().CloseIdleConnections()
	if cut.Load() {
		return context.Cause(ctx)
	}
	return nil
}

// Close is [Transport.Drain] without patience: what runs is cut.
func (t *Transport) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = t.Drain(ctx)
	return nil
}

// closeAll begins to close endpoints, and tells once they are whether any
// request was cut. Nothing else begins in the background from now on.
func (t *Transport) closeAll(endpoints []*endpoint) *atomic.Bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closing = true
	cut := new(atomic.Bool)
	for _, e := range endpoints {
		t.tasks.Go(func() {
			if e.close(t.patience) != nil {
				cut.Store(true)
			}
		})
	}
	return cut
}

// background runs f beside the requests; false when the transport is closing.
func (t *Transport) background(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return false
	}
	t.tasks.Go(f)
	return true
}
