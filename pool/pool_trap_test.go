package pool_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

// Pool trap 9: jitter is drawn once per connection, or a busy pool draws until it
// is the least.
func TestPoolTrap09LifetimesAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, life, jitter = 100, 100 * time.Second, 0.5
		w := &works{}
		p := open(t, w, pool.Config{MaxSize: n, MinIdle: -1, MaxLifetime: life, LifetimeJitter: jitter, IdleTimeout: -1, MaxCreating: n})
		leases := make([]pool.Lease[*line], n)
		for i := range leases {
			leases[i] = lease(t, p)
		}
		for time.Since(w.lines()[0].born) < life {
			for i, l := range leases {
				l.Release()
				leases[i] = lease(t, p)
			}
			time.Sleep(100 * time.Millisecond)
		}
		for _, l := range leases {
			l.Release()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		shortest, longest := life, time.Duration(0)
		for _, l := range w.lines()[:n] {
			require.NotZero(t, l.closes.Load())
			lived := l.death.Sub(l.born)
			shortest, longest = min(shortest, lived), max(longest, lived)
		}
		require.GreaterOrEqual(t, longest-shortest, time.Duration(0.8*jitter*float64(life)))
	})
}

// Pool trap 10: a connection that is never idle gets no older than others.
func TestPoolTrap10LifetimeHoldsForHotConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const life, hold = 10 * time.Second, 30 * time.Millisecond
		w := &works{}
		p := open(t, w, pool.Config{MaxSize: 2, MaxLifetime: life})
		var users sync.WaitGroup
		for range 4 { // more than connections: they are handed over, never idle
			users.Go(func() {
				for range 2000 {
					l, err := p.Acquire(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(hold)
					if age := time.Since(l.Value().born); age > life+hold {
						t.Errorf("used at an age of %v", age)
					}
					l.Release()
				}
			})
		}
		users.Wait()
		require.GreaterOrEqual(t, p.Stats().Closes(policy.ReasonLifetime), uint64(6))
	})
}

// Pool trap 11: a check that hangs costs its own time, not the caller's.
func TestPoolTrap11HungCheckIsPassedBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		var first atomic.Bool
		w := &works{check: func(context.Context, *line) error {
			if first.CompareAndSwap(false, true) {
				<-hang
			}
			return nil
		}}
		cfg := pool.Config{MaxSize: 2, CheckTimeout: 200 * time.Millisecond}
		p := open(t, w, cfg)
		time.Sleep(2 * time.Second)
		began := time.Now()
		l := lease(t, p)
		require.LessOrEqual(t, time.Since(began), cfg.CheckTimeout+10*time.Millisecond)
		l.Release()
		synctest.Wait()
		require.Equal(t, uint64(1), p.Stats().Closes(policy.ReasonUnhealthy))
	})
}

// Pool trap 11: a check does not end with the caller for whom it was begun.
func TestPoolTrap11CheckOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{check: func(ctx context.Context, _ *line) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
				return nil
			}
		}}
		p := open(t, w, pool.Config{MaxSize: 1})
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := p.Acquire(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(2 * time.Second)
		s := p.Stats()
		require.Zero(t, s.Closes(policy.ReasonUnhealthy))
		require.Equal(t, 1, s.Idle)
	})
}

// Pool trap 12: what is missing of MinIdle is made at once.
func TestPoolTrap12MinIdleIsRefilledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{}, pool.Config{MinIdle: 4, MaintainEvery: time.Hour})
		var leases []pool.Lease[*line]
		for range 4 {
			leases = append(leases, lease(t, p))
		}
		for _, l := range leases {
			l.Discard(nil)
		}
		p.Retire("all of them")
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, 4, p.Stats().Idle)
	})
}

// Pool trap 13: callers who leave while a connection is made lose neither it nor
// its place.
func TestPoolTrap13CancelWhileCreatingLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{create: func(context.Context, int) error { time.Sleep(700 * time.Microsecond); return nil }}
		p := open(t, w, pool.Config{MinIdle: -1})
		var callers sync.WaitGroup
		for i := range 64 {
			callers.Go(func() {
				for k := range 100 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(i*31+k*17)%900)*time.Microsecond)
					if l, err := p.Acquire(ctx); err == nil {
						time.Sleep(100 * time.Microsecond)
						if k%3 == 0 {
							l.Discard(nil)
						} else {
							l.Release()
						}
					}
					cancel()
				}
			})
		}
		callers.Wait()
		time.Sleep(time.Second)
		s := p.Stats()
		alive := 0
		for _, l := range w.lines() {
			if l.closes.Load() == 0 {
				alive++
			}
		}
		require.Equal(t, alive, s.Idle)
		require.Zero(t, s.Active+s.Creating+s.Closing+s.Waiting)
	})
}

// Pool trap 14: a release that comes twice takes nothing from the next user.
func TestPoolTrap14StaleReleaseChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{}, pool.Config{MaxSize: 1})
		first := lease(t, p)
		first.Release()
		second := lease(t, p)
		for _, again := range []func(){
			first.Release,
			func() { first.Discard(nil) },
			func() { require.Nil(t, first.Detach()) },
		} {
			again()
		}
		synctest.Wait()
		require.Nil(t, first.Value())
		require.NotNil(t, second.Value())
		s := p.Stats()
		require.Equal(t, uint64(3), s.StaleReleases)
		require.Equal(t, 1, s.Active)
		require.Zero(t, s.Idle)
		_, err := p.TryAcquire(t.Context())
		require.ErrorIs(t, err, policy.ErrPoolExhausted)
		second.Release()
	})
}

// Pool trap 15: a connection whose Close hangs holds its place for a while only,
// and nobody waits for it.
func TestPoolTrap15HungCloseFreesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		w := &works{close: func(*line) error { <-hang; return nil }}
		cfg := pool.Config{MaxSize: 1, CloseTimeout: 3 * time.Second}
		p := open(t, w, cfg)
		lease(t, p).Discard(nil)
		began := time.Now()
		l := lease(t, p)
		require.InDelta(t, cfg.CloseTimeout, time.Since(began), float64(10*time.Millisecond))
		l.Release()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		require.ErrorIs(t, p.Close(ctx), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
	})
}

// Pool trap 16: who comes first is served first.
func TestPoolTrap16WaitersAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, callers, hold = 10, 100, 10 * time.Millisecond
		p := open(t, &works{}, pool.Config{MaxSize: size, MinIdle: size})
		var mu sync.Mutex
		var order []int
		var longest, total time.Duration
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				began := time.Now()
				l, err := p.Acquire(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, i)
				longest = max(longest, time.Since(began))
				total += time.Since(began)
				mu.Unlock()
				time.Sleep(hold)
				l.Release()
			})
			time.Sleep(time.Microsecond)
		}
		wg.Wait()
		for i, who := range order {
			require.Equal(t, i, who)
		}
		require.LessOrEqual(t, longest, 2*total/callers+hold)
		require.Equal(t, uint64(callers-size), p.Stats().Waits)
	})
}

// Pool trap 17: that time was up does not hide why there was no connection.
func TestPoolTrap17TimeoutCarriesTheCreateError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		w := &works{create: func(context.Context, int) error { return refused }}
		p := open(t, w, pool.Config{AcquireTimeout: 30 * time.Second}, pool.WithKey("db"))
		began := time.Now()
		_, err := p.Acquire(t.Context())
		require.Equal(t, 30*time.Second, time.Since(began))
		require.ErrorIs(t, err, policy.ErrPoolExhausted)
		require.ErrorIs(t, err, policy.ErrConnectionCreation)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, refused)
		require.False(t, policy.Refused(err))
		own, ok := errors.AsType[*policy.Error](err)
		require.True(t, ok)
		require.Equal(t, policy.ReasonAcquireTimeout, own.Reason)
		require.Equal(t, "db", own.Key)
		exhausted, ok := errors.AsType[*pool.ExhaustedError](err)
		require.True(t, ok)
		require.Equal(t, uint64(1), exhausted.Stats.Timeouts)
		// Tried until the end: without pauses it would be thousands of times.
		require.Greater(t, exhausted.Stats.CreateFailures, uint64(10))
		require.Less(t, exhausted.Stats.CreateFailures, uint64(100))
		require.Contains(t, err.Error(), "connection refused")
	})
}
