package pool

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A pool that nobody uses sleeps, whatever it did before.
func TestUnusedPoolDoesNotTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Funcs(
			func(context.Context) (int, error) { return 42, nil },
			func(context.Context, int) error { return nil }, nil,
		), Config{MaxLifetime: -1, IdleTimeout: time.Minute}, WithTelemetry(nil))
		require.NoError(t, err)
		nextWake := func() int64 {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.wakeAt
		}
		for range 2 {
			l, err := p.Acquire(t.Context())
			require.NoError(t, err)
			l.Release()
			require.NotEqual(t, int64(math.MaxInt64), nextWake())
			time.Sleep(3 * time.Minute)
			require.Equal(t, int64(math.MaxInt64), nextWake(), "it wakes though nobody uses it")
		}
		require.NoError(t, p.Close(t.Context()))
	})
}

// What left is not held on to by the pool's own lists, nor are waiters of a rush
// that is over.
func TestPoolHoldsNothingThatLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Funcs(func(context.Context) (int, error) { return 42, nil }, nil, nil), Config{}, WithTelemetry(nil))
		require.NoError(t, err)
		var all []Lease[int]
		for range 10 {
			l, err := p.Acquire(t.Context())
			require.NoError(t, err)
			all = append(all, l)
		}
		for _, l := range all {
			l.Release()
		}
		require.NoError(t, p.Resize(2))
		p.mu.Lock()
		for _, c := range p.idle[len(p.idle):cap(p.idle)] {
			require.Nil(t, c)
		}
		for range 2 * maxSpare {
			p.keep(new(waiter[int]))
		}
		kept := 0
		for w := p.spare; w != nil; w = w.next {
			kept++
		}
		p.mu.Unlock()
		require.Equal(t, maxSpare, kept)
		require.NoError(t, p.Close(t.Context()))
	})
}
