package pool_test

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/pool"
)

func TestLendingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p, err := pool.New(&works{}, pool.Config{MaxSize: 2})
	require.NoError(t, err)
	defer p.Close(context.Background())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cycle := func() {
		l, err := p.Acquire(ctx)
		if err != nil {
			t.Error(err)
		}
		runtime.Gosched()
		l.Release()
	}
	cycle()
	require.Zero(t, testing.AllocsPerRun(1000, cycle))

	var crowd sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		crowd.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					cycle()
				}
			}
		})
	}
	for range 1000 {
		cycle()
	}
	allocs := testing.AllocsPerRun(5000, cycle)
	close(stop)
	crowd.Wait()
	require.Zero(t, allocs)
	require.NotZero(t, p.Stats().Waits)
}
