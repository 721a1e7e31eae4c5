package main

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestResourceDoesWhatItIsSaidTo(t *testing.T) {
	for _, slower := range []float64{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			db := newResource(8, 20*ms)
			db.slow(slower)
			began := time.Now()
			var wg sync.WaitGroup
			for range 4000 {
				wg.Go(func() { _ = db.use(context.Background()) })
			}
			wg.Wait()
			require.InEpsilon(t, slower*10, time.Since(began).Seconds(), 0.05)
		})
	}
}

func TestResourceLetsGoOfWhoeverLeavesItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newResource(1, time.Minute)
		go func() { _ = db.use(context.Background()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, db.use(ctx), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		time.Sleep(2 * time.Minute)
		require.Len(t, db.free, 1)
	})
}
