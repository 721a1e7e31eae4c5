package pool_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/pool"
)

// hanging are fickle works of which some take longer than they may.
func hanging() *works {
	w := fickle()
	create, check := w.create, w.check
	late := func(l, every int, d time.Duration) {
		if l%every == 5 {
			time.Sleep(d)
		}
	}
	w.create = func(ctx context.Context, id int) error {
		late(id, 13, 300*time.Millisecond)
		return create(ctx, id)
	}
	w.check = func(ctx context.Context, l *line) error {
		late(l.id, 17, 200*time.Millisecond)
		return check(ctx, l)
	}
	w.close = func(l *line) error {
		late(l.id, 19, 100*time.Millisecond)
		if l.id%23 == 1 {
			panic("close")
		}
		return nil
	}
	return w
}

// Nothing is lost or closed twice where parts hang, and the pool is resized and
// retired under its users.
func TestPoolKeepsItsBooksWhereThingsHang(t *testing.T) {
	for _, waiting := range []int{0, -1, 10} {
		synctest.Test(t, func(t *testing.T) {
			w := hanging()
			p := open(t, w, pool.Config{
				MaxSize: 6, MaxLifetime: 70 * time.Millisecond, CheckAfter: 3 * time.Millisecond,
				IdleTimeout: 20 * time.Millisecond, MaintainEvery: 3 * time.Millisecond, LeakAfter: 5 * time.Millisecond,
				CreateTimeout: 50 * time.Millisecond, CheckTimeout: 20 * time.Millisecond, CloseTimeout: 10 * time.Millisecond,
				AcquireTimeout: 400 * time.Millisecond, MaxWaiting: waiting,
			})
			var users sync.WaitGroup
			for i := range 24 {
				users.Go(func() {
					for k := range 100 {
						useSomehow(t, p, i*7919+k*104729)
					}
				})
			}
			users.Go(func() { disturb(t, p) })
			users.Wait()
			time.Sleep(time.Second)
			lease(t, p).Release() // it still serves
			require.NoError(t, p.Close(t.Context()))
			time.Sleep(time.Second)
			s := p.Stats()
			require.Zero(t, s.Idle+s.Active+s.Creating+s.Closing+s.Waiting)
			requireClosedOnce(t, w.lines(), nil)
		})
	}
}

// useSomehow uses a connection in one of many ways.
func useSomehow(t *testing.T, p *pool.Pool[*line], n int) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%29)*time.Millisecond)
	defer cancel()
	acquire := p.Acquire
	if n%5 == 0 {
		acquire = p.TryAcquire
	}
	l, err := acquire(ctx)
	if err != nil {
		time.Sleep(time.Millisecond)
		return
	}
	defer l.Release()
	time.Sleep(time.Duration(n%4) * time.Millisecond)
	if l.Value().closes.Load() > 0 {
		t.Errorf("line %d was closed in use", l.Value().id)
	}
	if n%13 == 0 {
		l.Discard(nil)
	}
}

// disturb resizes and retires a pool for 300ms.
func disturb(t *testing.T, p *pool.Pool[*line]) {
	for k := range 30 {
		if err := p.Resize(1 + (k*7)%9); err != nil {
			t.Error(err)
		}
		if k%4 == 0 {
			p.Retire("now and then")
		}
		s := p.Stats()
		if min(s.Idle, s.Active, s.Creating, s.Closing, s.Waiting) < 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
