package pool_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

var errBroken = errors.New("broken")

func TestPoolLendsWhatWasUsedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{}, pool.Config{MinIdle: 2, MaxSize: 2})
		a, b := lease(t, p), lease(t, p)
		last := a.Value()
		b.Release()
		a.Release()
		l := lease(t, p)
		require.Same(t, last, l.Value())
		l.Release()
	})
}

func TestPoolKeepsMinIdleBesideThoseInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{}, pool.Config{})
		require.Equal(t, 2, p.Stats().Idle)
		l := lease(t, p)
		synctest.Wait()
		s := p.Stats()
		require.Equal(t, 2, s.Idle)
		require.Equal(t, 1, s.Active)
		require.Equal(t, 0.1, s.Utilisation())
		l.Release()
	})
}

func TestPoolLetsGoOfUnusedOnesButKeepsMinIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{}, pool.Config{IdleTimeout: time.Minute, MaxLifetime: -1})
		var leases []pool.Lease[*line]
		for range 6 {
			leases = append(leases, lease(t, p))
		}
		for _, l := range leases {
			l.Release()
		}
		time.Sleep(time.Minute - 5*time.Second)
		require.Greater(t, p.Stats().Idle, 5)
		made := p.Stats().Creates
		time.Sleep(10 * time.Second)
		require.Equal(t, 2, p.Stats().Idle)
		time.Sleep(time.Hour)
		require.Equal(t, 2, p.Stats().Idle)
		require.Equal(t, made, p.Stats().Creates, "those kept are of the first")
		require.Equal(t, p.Stats().Creates-2, p.Stats().Closes(policy.ReasonIdle))
	})
}

func TestPoolChecksOnlyWhatWasUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checked := 0
		w := &works{check: func(context.Context, *line) error { checked++; return nil }}
		p := open(t, w, pool.Config{MaxSize: 1})
		for range 100 {
			lease(t, p).Release()
			time.Sleep(900 * time.Millisecond)
		}
		require.Zero(t, checked)
		time.Sleep(200 * time.Millisecond)
		lease(t, p).Release()
		require.Equal(t, 1, checked)
		lease(t, p).Release()
		require.Equal(t, 1, checked)
	})
}

func TestPoolChecksWhatItIsToldTo(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		want  int
	}{
		{"every one", time.Nanosecond, 10},
		{"none", -1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				checked := 0
				w := &works{check: func(context.Context, *line) error { checked++; return nil }}
				p := open(t, w, pool.Config{MaxSize: 1, CheckAfter: c.after})
				lease(t, p).Release()
				for range 10 {
					lease(t, p).Release()
				}
				time.Sleep(time.Minute)
				require.Equal(t, c.want, checked)
			})
		})
	}
}

func TestPoolTakesTheNextWhenACheckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{check: func(_ context.Context, l *line) error {
			if l.id < 2 {
				return errBroken
			}
			return nil
		}}
		var d diary
		p := open(t, w, pool.Config{MinIdle: 2}, pool.WithObserver(&d))
		time.Sleep(2 * time.Second)
		l := lease(t, p)
		require.GreaterOrEqual(t, l.Value().id, 2)
		l.Release()
		synctest.Wait()
		retired := d.of(policy.ActionRetire)
		require.NotEmpty(t, retired)
		require.Equal(t, policy.ReasonUnhealthy, retired[0].Reason)
		require.ErrorIs(t, retired[0].Err, policy.ErrUnhealthyConnection)
		require.ErrorIs(t, retired[0].Err, errBroken)
		require.Equal(t, 2*time.Second, retired[0].Age)
	})
}

func TestPoolHandsACreatedOneToWhoeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{create: func(context.Context, int) error { time.Sleep(time.Second); return nil }}
		p := open(t, w, pool.Config{MaxSize: 1, MinIdle: -1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := p.Acquire(ctx)
		require.ErrorIs(t, err, policy.ErrPoolExhausted)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, policy.Refused(err))
		lease(t, p).Release()
		require.Len(t, w.lines(), 1)
	})
}

func TestPoolEndsWithItsCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{}, pool.Config{MaxSize: 1})
		ended, cancel := context.WithCancelCause(t.Context())
		cancel(errBroken)
		before := p.Stats()
		_, err := p.Acquire(ended)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errBroken)
		require.Equal(t, before, p.Stats())

		held := lease(t, p)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errBroken) })
		_, err = p.Acquire(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errBroken)
		require.NotErrorIs(t, err, policy.ErrPoolExhausted)
		require.Zero(t, p.Stats().Waiting)
		held.Release()
		require.Equal(t, 1, p.Stats().Idle)
	})
}

func TestPoolBoundsWhoWaits(t *testing.T) {
	for _, c := range []struct{ max, waiting int }{{2, 2}, {-1, 0}} {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, &works{}, pool.Config{MaxSize: 1, MinIdle: -1, MaxWaiting: c.max})
			held := lease(t, p) // one for whom there can be a connection may wait
			for range c.waiting {
				go func() {
					if l, err := p.Acquire(t.Context()); err == nil {
						l.Release()
					}
				}()
			}
			synctest.Wait()
			_, err := p.Acquire(t.Context())
			own, ok := errors.AsType[*policy.Error](err)
			require.True(t, ok)
			require.Equal(t, policy.ReasonTooManyWaiters, own.Reason)
			require.NotErrorIs(t, err, context.DeadlineExceeded)
			require.True(t, policy.Refused(err))
			require.Equal(t, c.waiting, p.Stats().Waiting)
			held.Release()
			synctest.Wait()
			require.Zero(t, p.Stats().Waiting)
		})
	}
}

func TestTryAcquireTakesIdleOnesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{create: func(context.Context, int) error { time.Sleep(time.Second); return nil }}
		p := open(t, w, pool.Config{MinIdle: -1, MaxSize: 2})
		_, err := p.TryAcquire(t.Context())
		own, ok := errors.AsType[*policy.Error](err)
		require.True(t, ok)
		require.Equal(t, policy.ReasonNoneIdle, own.Reason)
		_, err = p.TryAcquire(t.Context())
		require.ErrorIs(t, err, policy.ErrPoolExhausted)
		time.Sleep(2 * time.Second)
		require.Len(t, w.lines(), 1) // one is made for the next try
		time.Sleep(2 * time.Second)  // and needs a check by now
		l, err := p.TryAcquire(t.Context())
		require.NoError(t, err)
		l.Release()
	})
}

func TestTryAcquireDoesNotWaitForANewOneWhenTheCheckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{
			create: func(context.Context, int) error { time.Sleep(time.Second); return nil },
			check:  func(context.Context, *line) error { return errBroken },
		}
		p := open(t, w, pool.Config{MinIdle: 1, MaxSize: 1})
		time.Sleep(3 * time.Second)
		began := time.Now()
		_, err := p.TryAcquire(t.Context())
		require.ErrorIs(t, err, policy.ErrPoolExhausted)
		require.Zero(t, time.Since(began))
	})
}

func TestDoKeepsTheConnectionButChecksItAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checked := 0
		w := &works{check: func(context.Context, *line) error { checked++; return nil }}
		p := open(t, w, pool.Config{MaxSize: 1})
		do := func(err error) {
			got := p.Do(t.Context(), func(_ context.Context, l *line) error {
				require.NotNil(t, l)
				return err
			})
			require.Equal(t, err, got)
		}
		do(nil)
		do(policy.Permanent(errBroken))
		do(errBroken)
		require.Zero(t, checked)
		do(nil)
		require.Equal(t, 1, checked)
		require.Len(t, w.lines(), 1)
	})
}

func TestDoDiscardsAfterPanicAndGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{}, pool.Config{MaxSize: 1})
		require.Panics(t, func() {
			_ = p.Do(t.Context(), func(context.Context, *line) error { panic("oh") })
		})
		go func() {
			_ = p.Do(t.Context(), func(context.Context, *line) error { runtime.Goexit(); return nil })
		}()
		synctest.Wait()
		require.Equal(t, uint64(2), p.Stats().Closes(policy.ReasonDiscarded))
		require.Equal(t, 1, p.Stats().Idle)
	})
}

func TestDetachMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{}
		p := open(t, w, pool.Config{MaxSize: 1})
		l := lease(t, p)
		mine := l.Detach()
		require.NotNil(t, mine)
		require.Nil(t, l.Value())
		lease(t, p).Release()
		require.NoError(t, p.Close(t.Context()))
		require.Zero(t, mine.closes.Load())
		require.Equal(t, uint64(1), p.Stats().Closes(policy.ReasonDetached))
	})
}

func TestRetireReplacesEveryConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := false
		w := &works{create: func(context.Context, int) error {
			if slow {
				time.Sleep(time.Second)
			}
			return nil
		}}
		var d diary
		p := open(t, w, pool.Config{MinIdle: 3}, pool.WithObserver(&d))
		slow = true
		held := lease(t, p) // which makes the pool begin another
		synctest.Wait()
		p.Retire("password rotated")
		old := len(w.lines())
		require.NotNil(t, held.Value())
		require.Zero(t, held.Value().closes.Load())
		held.Release()
		time.Sleep(time.Minute)
		for _, l := range w.lines()[:4] {
			require.Equal(t, int32(1), l.closes.Load(), "line %d", l.id)
		}
		require.GreaterOrEqual(t, old, 4)
		require.Equal(t, 3, p.Stats().Idle)
		for _, one := range d.of(policy.ActionRetire) {
			require.Equal(t, policy.ReasonRetired, one.Reason)
			require.Equal(t, "password rotated", one.Note)
		}
	})
}

func TestResizeFollowsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		p := open(t, &works{}, pool.Config{MaxSize: 4, MinIdle: 4}, pool.WithObserver(&d))
		a, b := lease(t, p), lease(t, p)
		require.NoError(t, p.Resize(1))
		synctest.Wait()
		require.Zero(t, p.Stats().Idle)
		require.Equal(t, 2.0, p.Stats().Utilisation())
		a.Release()
		synctest.Wait()
		require.Equal(t, uint64(3), p.Stats().Closes(policy.ReasonSurplus))
		b.Release()
		require.Equal(t, 1, p.Stats().Idle)
		require.NoError(t, p.Resize(3))
		synctest.Wait()
		require.Equal(t, 3, p.Stats().Idle)
		require.ErrorContains(t, p.Resize(0), "max_size: 0")
		require.Equal(t, []int{1, 3}, []int{d.of(policy.ActionResize)[0].Limit, d.of(policy.ActionResize)[1].Limit})
	})
}

func TestResizeServesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{}, pool.Config{MaxSize: 1})
		held := lease(t, p)
		go func() {
			if l, err := p.Acquire(t.Context()); err == nil {
				l.Release()
			}
		}()
		synctest.Wait()
		require.Equal(t, 1, p.Stats().Waiting)
		require.NoError(t, p.Resize(2))
		synctest.Wait()
		require.Zero(t, p.Stats().Waiting)
		held.Release()
	})
}

func TestCloseWaitsForThoseInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{}
		p := open(t, w, pool.Config{MaxSize: 1})
		held := lease(t, p)
		refused := make(chan error, 1)
		go func() { _, err := p.Acquire(t.Context()); refused <- err }()
		synctest.Wait()
		time.AfterFunc(time.Second, held.Release)
		began := time.Now()
		require.NoError(t, p.Close(t.Context()))
		require.Equal(t, time.Second, time.Since(began))
		require.NoError(t, p.Close(t.Context()))
		for _, err := range []error{<-refused, p.Resize(2), second(p.Acquire(t.Context())), second(p.TryAcquire(t.Context()))} {
			require.ErrorIs(t, err, policy.ErrClosed)
			require.True(t, policy.Refused(err))
		}
		require.Equal(t, int32(1), w.lines()[0].closes.Load())
	})
}

func second[A any](_ A, err error) error { return err }

func TestCloseForcesWhatIsNeverReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{}
		p := open(t, w, pool.Config{MaxSize: 1})
		held := lease(t, p)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, p.Close(ctx), context.DeadlineExceeded)
		synctest.Wait()
		require.Equal(t, int32(1), w.lines()[0].closes.Load())
		held.Release()
		require.Zero(t, p.Stats().StaleReleases)
		require.NoError(t, p.Close(t.Context()))
		require.Equal(t, int32(1), w.lines()[0].closes.Load())
	})
}

func TestLeaksAreToldOnceWithTheirStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		p := open(t, &works{}, pool.Config{LeakAfter: time.Minute}, pool.WithObserver(&d))
		lease(t, p).Release()
		leaked := lease(t, p)
		time.Sleep(time.Hour)
		told := d.of(policy.ActionLeak)
		require.Len(t, told, 1)
		leak, ok := errors.AsType[*pool.LeakError](told[0].Err)
		require.True(t, ok)
		require.InDelta(t, time.Minute, leak.Held, float64(time.Second))
		require.Contains(t, leak.Stack, "pool_test.lease")
		require.NotContains(t, leak.Stack, "acquired")
		require.Equal(t, uint64(1), p.Stats().Leaked)
		leaked.Release()
	})
}

func TestConfigReportsEveryFault(t *testing.T) {
	_, err := pool.New(pool.Funcs[int](nil, nil, nil), pool.Config{
		MaxSize: -1, LifetimeJitter: math.NaN(), CreateTimeout: -1, CheckTimeout: -1, CloseTimeout: -1,
		LeakAfter: -1, MaintainEvery: -1, MaxCreating: -1,
	})
	for _, path := range []string{
		"max_size: -1", "lifetime_jitter: NaN", "create_timeout: ", "check_timeout: ", "close_timeout: ",
		"leak_after: ", "maintain_every: ", "max_creating: -1", "create: must not be nil",
	} {
		require.ErrorContains(t, err, path)
	}
	_, err = pool.New[int](nil, pool.Config{MinIdle: 11})
	require.ErrorContains(t, err, "min_idle: 11: must be ≤ max_size, 10")
	require.NoError(t, pool.Config{MaxSize: 1}.Validate())
}
