package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/examples/s3/store"
)

const (
	workers  = 8
	patience = 25 * time.Second // of a call
	small    = 16 << 10
)

// load is workers that write, read, list and remove objects of their own.
type load struct {
	client *client
	again  atomic.Int64 // calls that Outlast made once more

	mu    sync.Mutex
	tally tally // guarded by mu
}

// run makes calls until ctx ends, which cuts none of them.
func (l *load) run(ctx context.Context) {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.round(context.WithoutCancel(ctx), fmt.Sprintf("load-%d-%d", w, n))
			}
		})
	}
	wg.Wait()
	l.tally.repeated = int(l.again.Load())
}

// round is the life of an object.
func (l *load) round(ctx context.Context, key string) {
	c := l.client
	l.call(ctx, func(ctx context.Context) error { return c.put(ctx, key, small) })
	l.call(ctx, func(ctx context.Context) error { return c.download(ctx, key, small) })
	l.call(ctx, func(ctx context.Context) error { return c.head(ctx, key, small) })
	l.call(ctx, func(ctx context.Context) error {
		keys, err := c.list(ctx, key)
		if err == nil && len(keys) != 1 {
			err = fmt.Errorf("%d objects where %s is: %w", len(keys), key, errWrong)
		}
		return err
	})
	l.call(ctx, func(ctx context.Context) error { return c.remove(ctx, key) })
}

// call makes one that had rather be late than lost.
func (l *load) call(ctx context.Context, op func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	made := int64(0)
	err := store.Outlast(ctx, func(ctx context.Context) error {
		made++
		return op(ctx)
	})
	l.again.Add(made - 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally.count(err)
}
