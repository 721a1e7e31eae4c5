package pool_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

func TestRetireGivesUpWhatIsBeingMade(t *testing.T) {
	for _, c := range []struct {
		name string
		hang func(context.Context) error
	}{
		{"that ends with its context", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		{"that hangs", func(context.Context) error { time.Sleep(time.Hour); return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var well atomic.Bool
				w := &works{create: func(ctx context.Context, _ int) error {
					if well.Load() {
						return nil
					}
					return c.hang(ctx)
				}}
				p := open(t, w, pool.Config{MaxSize: 4, MinIdle: 4})
				began := time.Now()
				time.AfterFunc(time.Second, func() { well.Store(true); p.Retire("failover") })
				lease(t, p).Release()
				require.Less(t, time.Since(began), 1100*time.Millisecond)
				synctest.Wait()
				require.Equal(t, 4, p.Stats().Idle)
				require.Zero(t, p.Stats().Creating)
			})
		})
	}
}

func TestRetireForgetsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var well atomic.Bool
		w := &works{create: func(context.Context, int) error {
			if well.Load() {
				return nil
			}
			return errBroken
		}}
		p := open(t, w, pool.Config{MinIdle: 4})
		time.Sleep(time.Minute) // the pause has grown to seconds
		well.Store(true)
		p.Retire("credentials rotated")
		synctest.Wait()
		require.Equal(t, 4, p.Stats().Idle)
	})
}

func TestFailuresForAnEarlierRoundFailNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{create: func(ctx context.Context, id int) error {
			if id < 2 {
				<-ctx.Done()
				return policy.Permanent(errBroken)
			}
			return oneSecond(ctx, id)
		}}
		p := open(t, w, pool.Config{MaxSize: 2, MinIdle: -1})
		time.AfterFunc(time.Second, func() { p.Retire("credentials rotated") })
		began := time.Now()
		var early sync.WaitGroup
		early.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			if _, err := p.Acquire(ctx); errors.Is(err, errBroken) || !errors.Is(err, policy.ErrPoolExhausted) {
				t.Error(err)
			}
		})
		lease(t, p).Release()
		early.Wait()
		require.Equal(t, 2*time.Second, time.Since(began))
		require.Equal(t, uint64(2), p.Stats().CreateFailures)
	})
}

func TestRetireIsNotWaitedOutByChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{check: hangs}
		p := open(t, w, pool.Config{MaxSize: 3, MinIdle: -1})
		hold(t, p, 1)
		time.Sleep(5 * time.Second)
		time.AfterFunc(100*time.Millisecond, func() { p.Retire("failover") })
		began := time.Now()
		l := lease(t, p)
		require.Equal(t, 100*time.Millisecond, time.Since(began))
		require.NotZero(t, l.Value().id)
		l.Release()
		time.Sleep(time.Minute)
		require.Equal(t, int32(1), w.lines()[0].closes.Load())
	})
}

func TestLifetimeOfIdleConnectionsIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const life = 10 * time.Second
		w := &works{}
		p := open(t, w, pool.Config{MaxSize: 1, MaxLifetime: life, LifetimeJitter: -1, CheckAfter: -1, IdleTimeout: -1})
		time.Sleep(life - 1)
		require.Zero(t, w.lines()[0].closes.Load())
		time.Sleep(1)
		synctest.Wait()
		require.Equal(t, int32(1), w.lines()[0].closes.Load())
		require.Equal(t, uint64(1), p.Stats().Closes(policy.ReasonLifetime))
	})
}

func TestLifetimeOfThoseMadeLaterIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const life = 10 * time.Second
		w := &works{}
		p := open(t, w, pool.Config{MaxSize: 2, MinIdle: -1, MaxLifetime: life, LifetimeJitter: -1, CheckAfter: -1, IdleTimeout: -1})
		held := lease(t, p)
		time.Sleep(3 * time.Second)
		lease(t, p).Release()
		held.Release()
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, l := range w.lines()[:2] {
			require.Equal(t, life, l.death.Sub(l.born), "line %d", l.id)
		}
	})
}

func TestCloseHasToldEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		slow := policy.ObserverFunc(func(context.Context, policy.Decision) { time.Sleep(time.Second) })
		p := open(t, &works{}, pool.Config{MaxSize: 4, MinIdle: 4}, pool.WithObserver(slow), pool.WithObserver(&d))
		require.NoError(t, p.Close(t.Context()))
		require.Len(t, d.of(policy.ActionRetire), 4)
	})
}

func TestCloseDoesNotWaitForWhatHangs(t *testing.T) {
	hour := func() { time.Sleep(time.Hour) }
	for _, c := range []struct {
		name string
		w    *works
		took time.Duration // at most
	}{
		{"create", &works{create: func(context.Context, int) error { hour(); return nil }}, 10 * time.Millisecond},
		{"check", &works{check: func(context.Context, *line) error { hour(); return nil }}, 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, c.w, pool.Config{MaxSize: 1})
				time.Sleep(5 * time.Second)
				var caller sync.WaitGroup
				caller.Go(func() { _, err := p.Acquire(t.Context()); require.ErrorIs(t, err, policy.ErrClosed) })
				synctest.Wait()
				began := time.Now()
				require.NoError(t, p.Close(t.Context()))
				require.LessOrEqual(t, time.Since(began), c.took)
				caller.Wait()
				time.Sleep(2 * time.Hour)
				requireClosedOnce(t, c.w.lines(), nil)
			})
		})
	}
}

func TestCloseCutsACheckThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{check: func(context.Context, *line) error { time.Sleep(time.Hour); return nil }}
		p := open(t, w, pool.Config{MaxSize: 1, CheckTimeout: time.Minute})
		time.Sleep(2 * time.Second)
		go func() { _, _ = p.Acquire(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, p.Close(ctx), context.DeadlineExceeded)
		synctest.Wait()
		require.Equal(t, int32(1), w.lines()[0].closes.Load())
		time.Sleep(2 * time.Hour)
		requireClosedOnce(t, w.lines(), nil)
	})
}
