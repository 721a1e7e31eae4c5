package pool_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

// line is a connection of the tests.
type line struct {
	id     int
	born   time.Time
	closes atomic.Int32
	death  time.Time // set by the first close
}

// works is a factory of lines whose parts can be replaced.
type works struct {
	create func(ctx context.Context, id int) error
	check  func(ctx context.Context, l *line) error
	close  func(l *line) error

	mu   sync.Mutex
	made []*line
}

func (w *works) Create(ctx context.Context) (*line, error) {
	w.mu.Lock()
	l := &line{id: len(w.made), born: time.Now()}
	w.made = append(w.made, l)
	w.mu.Unlock()
	if w.create != nil {
		if err := w.create(ctx, l.id); err != nil {
			l.closes.Add(1) // never was
			return nil, err
		}
	}
	return l, nil
}

func (w *works) IsHealthy(ctx context.Context, l *line) error {
	if w.check == nil {
		return nil
	}
	return w.check(ctx, l)
}

func (w *works) Close(l *line) error {
	if l.closes.Add(1) == 1 {
		l.death = time.Now()
	}
	if w.close == nil {
		return nil
	}
	return w.close(l)
}

func (w *works) lines() []*line {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*line(nil), w.made...)
}

// open makes a pool in a bubble, and sees to it that it is closed there.
func open(t *testing.T, w *works, cfg pool.Config, opts ...pool.Option) *pool.Pool[*line] {
	t.Helper()
	p, err := pool.New(w, cfg, append([]pool.Option{pool.WithTelemetry(nil)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = p.Close(ctx)
		time.Sleep(2 * time.Hour) // until those that hang are done
	})
	synctest.Wait()
	return p
}

func lease(t *testing.T, p *pool.Pool[*line]) pool.Lease[*line] {
	t.Helper()
	l, err := p.Acquire(t.Context())
	require.NoError(t, err)
	return l
}

// use leases a connection and gives it back, in a goroutine of the test.
func use(t *testing.T, p *pool.Pool[*line]) {
	t.Helper()
	l, err := p.Acquire(t.Context())
	if err != nil {
		t.Error(err)
	}
	l.Release()
}

// diary is an observer that keeps what it is told.
type diary struct {
	mu  sync.Mutex
	all []policy.Decision
}

func (d *diary) Observe(_ context.Context, one policy.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, one)
}

func (d *diary) of(a policy.Action) []policy.Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []policy.Decision
	for _, one := range d.all {
		if one.Action == a {
			found = append(found, one)
		}
	}
	return found
}
