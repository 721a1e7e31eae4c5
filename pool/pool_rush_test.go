package pool_test

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/pool"
)

// In a rush the clock is looked at every millisecond; what waited longer is
// known as well as ever, and after it everything is.
func TestWaitsAreMeasuredInARushAndAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = 500 // far more than make a rush
		p := open(t, &works{}, pool.Config{MaxSize: 1})
		all := func(hold time.Duration) {
			var callersDone sync.WaitGroup
			for range callers {
				callersDone.Go(func() {
					l := lease(t, p)
					time.Sleep(hold)
					l.Release()
				})
			}
			callersDone.Wait()
		}
		all(0)
		require.Zero(t, p.Stats().WaitTime, "nothing took any time")

		all(10 * time.Microsecond) // each waits for all before it
		waited := 10 * time.Microsecond * callers * (callers - 1) / 2
		require.InDelta(t, waited, p.Stats().WaitTime, float64(callers*time.Millisecond))
		require.NotZero(t, p.Stats().WaitTime)

		time.Sleep(time.Second)
		before := p.Stats().WaitTime
		first := lease(t, p)
		go use(t, p)
		synctest.Wait()
		time.Sleep(1234567)
		first.Release()
		synctest.Wait()
		require.Equal(t, time.Duration(1234567), p.Stats().WaitTime-before)
	})
}

func TestNobodyIsTurnedAwayEarlyInARush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{}, pool.Config{MaxSize: 1, AcquireTimeout: 50 * time.Millisecond})
		var callers sync.WaitGroup
		for range 2000 {
			callers.Go(func() {
				began := time.Now()
				l, err := p.Acquire(t.Context())
				if err != nil {
					require.GreaterOrEqual(t, time.Since(began), 49*time.Millisecond)
					return
				}
				time.Sleep(50 * time.Microsecond)
				l.Release()
			})
		}
		callers.Wait()
		s := p.Stats()
		require.InDelta(t, 1000, s.Timeouts, 50, "of those who came at once, half are in time")
	})
}

func TestWaitTimeNeverShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{}, pool.Config{MaxSize: 2})
		var users sync.WaitGroup
		for range 16 {
			users.Go(func() {
				for range 100 {
					l := lease(t, p)
					runtime.Gosched()
					l.Release()
				}
			})
		}
		users.Go(func() {
			var before time.Duration
			for range 200 {
				now := p.Stats().WaitTime
				require.GreaterOrEqual(t, now, before)
				before = now
				runtime.Gosched()
			}
		})
		users.Wait()
	})
}
