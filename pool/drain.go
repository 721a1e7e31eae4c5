package pool

import "context"

// Drain takes no more requests, which get an error matching policy.ErrClosed,
// and waits for those that run; when ctx ends, it cuts them. It returns when all
// connections are closed and nothing runs in the background any more, with the
// cause of ctx if that cut any. It may be called again, also while it runs, but not
// by an observer: what runs in the background waits for those.
func (t *Transport) Drain(ctx context.Context) error {
	stop := context.AfterFunc(ctx, t.lose)
	defer stop()
	t.drain.Do(t.closeAll)
	t.tasks.Wait()
	t.base.Load().CloseIdleConnections()
	if ctx.Err() != nil && t.cut.Load() {
		return context.Cause(ctx)
	}
	return nil
}

// Close is [Transport.Drain] without patience: what runs is cut. An observer must
// not call it either.
func (t *Transport) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = t.Drain(ctx)
	return nil
}

// closeAll begins to close everything. Nothing else begins in the background from
// then on.
func (t *Transport) closeAll() {
	t.end()
	for _, stop := range t.unwatch {
		stop()
	}
	all := []*endpoint{t.spare}
	for _, tgt := range t.targets.close() {
		t.keeper.forget(tgt)
		all = append(all, tgt.leave()...)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closing = true
	for _, e := range all {
		t.tasks.Go(func() {
			if e.close(t.patience) != nil {
				t.cut.Store(true)
			}
		})
	}
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
