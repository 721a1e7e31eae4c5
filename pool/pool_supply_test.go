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

// hold leases n connections and gives them back at once.
func hold(t *testing.T, p *pool.Pool[*line], n int) {
	t.Helper()
	leases := make([]pool.Lease[*line], n)
	for i := range leases {
		leases[i] = lease(t, p)
	}
	for _, l := range leases {
		l.Release()
	}
}

// oneSecond is a create that takes a second.
func oneSecond(context.Context, int) error { time.Sleep(time.Second); return nil }

// hangs is a check that lasts for as long as it may.
func hangs(ctx context.Context, _ *line) error { <-ctx.Done(); return ctx.Err() }

func TestDeadIdleConnectionsDoNotKeepNewOnesFromBeingMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 50
		w := &works{check: func(ctx context.Context, l *line) error {
			if l.id < size {
				return hangs(ctx, l)
			}
			return nil
		}}
		p := open(t, w, pool.Config{MaxSize: size})
		hold(t, p, size)
		time.Sleep(5 * time.Second)
		began := time.Now()
		l := lease(t, p)
		require.GreaterOrEqual(t, l.Value().id, size)
		require.Less(t, time.Since(began), 3*time.Second, "one check, not all of them")
		l.Release()
	})
}

func TestOneDeadConnectionIsReplacedByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{check: func(_ context.Context, l *line) error {
			if l.id == 3 {
				return errBroken
			}
			return nil
		}}
		p := open(t, w, pool.Config{MaxSize: 10, MinIdle: 4})
		time.Sleep(2 * time.Second)
		lease(t, p).Release()
		time.Sleep(2 * time.Second)
		hold(t, p, 1) // what is checked well again needs no more
		synctest.Wait()
		require.LessOrEqual(t, len(w.lines()), 6)
	})
}

func TestAFailedCheckIsForgottenOnceNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{check: func(_ context.Context, l *line) error {
			if l.id == 0 {
				return errBroken
			}
			return nil
		}}
		p := open(t, w, pool.Config{MinIdle: -1})
		for range 3 {
			hold(t, p, 1)
			time.Sleep(5 * time.Second)
		}
		require.Len(t, w.lines(), 2)
	})
}

func TestWhatIsFreshIsTakenFromBeneathASuspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{check: hangs}, pool.Config{MaxSize: 2, MinIdle: 2})
		a := lease(t, p)
		fresh := a.Value()
		_ = p.Do(t.Context(), func(context.Context, *line) error { a.Release(); return errBroken })
		require.Equal(t, 2, p.Stats().Idle)
		l := lease(t, p)
		require.Same(t, fresh, l.Value())
		require.Zero(t, p.Stats().Waits)
		l.Release()
	})
}

func TestSuspectConnectionsAreNeverHandedOnUnchecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{check: func(_ context.Context, l *line) error {
			if l.id == 0 {
				return errBroken
			}
			return nil
		}}
		p := open(t, w, pool.Config{MaxSize: 1})
		var caller sync.WaitGroup
		_ = p.Do(t.Context(), func(context.Context, *line) error {
			caller.Go(func() {
				if err := p.Do(t.Context(), func(_ context.Context, l *line) error {
					if l.id == 0 {
						return errBroken
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			return errBroken
		})
		caller.Wait()
		require.Equal(t, uint64(1), p.Stats().Waits)
	})
}

func TestACheckForOneWhoLeftIsNotWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name string
		idle int
	}{{"others are idle", 3}, {"another can be made", 1}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var second atomic.Bool
				w := &works{check: func(ctx context.Context, l *line) error {
					if second.Swap(true) {
						return nil
					}
					return hangs(ctx, l)
				}}
				p := open(t, w, pool.Config{MaxSize: 3, MinIdle: -1})
				hold(t, p, c.idle)
				time.Sleep(5 * time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				_, err := p.Acquire(ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				began := time.Now()
				lease(t, p).Release()
				require.Zero(t, time.Since(began))
			})
		})
	}
}

func TestConnectionsThatWorkAreKeptInsteadOfThoseBeingMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{create: func(ctx context.Context, id int) error {
			if id >= 2 {
				return oneSecond(ctx, id)
			}
			return nil
		}}
		p := open(t, w, pool.Config{MaxSize: 4, MinIdle: 2})
		a, b := lease(t, p), lease(t, p)
		synctest.Wait()
		require.Equal(t, 2, p.Stats().Creating)
		require.NoError(t, p.Resize(2))
		a.Release()
		b.Release()
		require.Equal(t, 2, p.Stats().Idle)
		time.Sleep(2 * time.Second)
		s := p.Stats()
		require.Equal(t, 2, s.Idle)
		require.Equal(t, uint64(2), s.Closes(policy.ReasonSurplus))
	})
}

func TestNoMoreAreMadeAtATimeThanMayBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{create: oneSecond}, pool.Config{MaxSize: 20, MinIdle: 20, MaxCreating: 3})
		require.Equal(t, 3, p.Stats().Creating)
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, 3, p.Stats().Creating)
		require.Equal(t, 3, p.Stats().Idle)
	})
}

func TestOneIsMadeAtATimeAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		w := &works{create: func(_ context.Context, id int) error {
			if id < 4 {
				return errBroken
			}
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(time.Second)
			return errBroken
		}}
		p := open(t, w, pool.Config{MinIdle: 4})
		time.Sleep(time.Minute)
		require.Equal(t, int32(1), most.Load())
		require.NotZero(t, p.Stats().CreateFailures)
	})
}

func TestAFailedCheckIsMadeGoodBeforeItsConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{
			check: func(context.Context, *line) error { return errBroken },
			close: func(*line) error { time.Sleep(time.Hour); return nil },
		}
		p := open(t, w, pool.Config{MinIdle: -1})
		hold(t, p, 1)
		time.Sleep(5 * time.Second)
		began := time.Now()
		lease(t, p).Release()
		require.Zero(t, time.Since(began))
	})
}

func TestThoseThatFailTogetherAreOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			began := time.Now()
			var next time.Duration
			w := &works{create: func(_ context.Context, id int) error {
				if id == 4 {
					next = time.Since(began)
				}
				return errBroken
			}}
			p := open(t, w, pool.Config{MinIdle: 4})
			time.Sleep(time.Second)
			require.NoError(t, p.Close(t.Context()))
			require.LessOrEqual(t, next, 200*time.Millisecond)
		}
	})
}

// Pool trap 12, each way in which a connection goes: nothing waits for a tick.
func TestPoolTrap12MinIdleIsRefilledHoweverOneLeaves(t *testing.T) {
	for _, c := range []struct {
		name string
		how  func(t *testing.T, p *pool.Pool[*line], w *works)
	}{
		{"lent", func(t *testing.T, p *pool.Pool[*line], _ *works) { t.Cleanup(lease(t, p).Release) }},
		{"retired", func(_ *testing.T, p *pool.Pool[*line], _ *works) { p.Retire("all") }},
		{"detached", func(t *testing.T, p *pool.Pool[*line], _ *works) {
			for range 4 {
				lease(t, p).Detach()
			}
		}},
		{"discarded", func(t *testing.T, p *pool.Pool[*line], _ *works) {
			for range 4 {
				lease(t, p).Discard(nil)
			}
		}},
		{"failed its check", func(t *testing.T, p *pool.Pool[*line], w *works) {
			time.Sleep(2 * time.Second)
			w.check = func(context.Context, *line) error { return errBroken }
			lease(t, p).Release()
		}},
		{"expired", func(*testing.T, *pool.Pool[*line], *works) { time.Sleep(10 * time.Second) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &works{}
				p := open(t, w, pool.Config{MinIdle: 4, MaintainEvery: time.Hour, MaxLifetime: 10 * time.Second, LifetimeJitter: -1})
				c.how(t, p, w)
				synctest.Wait()
				require.GreaterOrEqual(t, p.Stats().Idle, 4)
				require.Greater(t, len(w.lines()), 4)
			})
		})
	}
}

// Where there is room for no other, only the place of one that goes lets the
// next be made.
func TestPoolTrap12WhoWaitsIsServedHoweverOneLeaves(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(pool.Lease[*line])
	}{
		{"detached", func(l pool.Lease[*line]) { l.Detach() }},
		{"discarded", func(l pool.Lease[*line]) { l.Discard(errBroken) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, &works{}, pool.Config{MaxSize: 1, MaintainEvery: time.Hour})
				held := lease(t, p)
				began := time.Now()
				var caller sync.WaitGroup
				caller.Go(func() { use(t, p) })
				synctest.Wait()
				c.end(held)
				caller.Wait()
				require.Zero(t, time.Since(began))
			})
		})
	}
}

// meanwhile is a context in which something happens just as it is waited for.
type meanwhile struct {
	context.Context
	happens func()
}

func (m meanwhile) Done() <-chan struct{} { m.happens(); return m.Context.Done() }

// Pool trap 13: what is handed to a caller in the moment in which it leaves is
// not lost.
func TestPoolTrap13ServedAndGoneInTheSameMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{}, pool.Config{MaxSize: 1})
		served, gone := 0, 0
		for range 100 {
			held := lease(t, p)
			ctx, cancel := context.WithCancel(t.Context())
			l, err := p.Acquire(meanwhile{ctx, func() { held.Release(); cancel() }})
			if err == nil {
				served++
				l.Release()
			} else {
				require.ErrorIs(t, err, context.Canceled)
				gone++
			}
			s := p.Stats()
			require.Equal(t, 1, s.Idle)
			require.Zero(t, s.Active+s.Waiting+int(s.StaleReleases))
		}
		require.NotZero(t, served)
		require.NotZero(t, gone)
	})
}

// However long the server was away, who comes when it is back waits for a part of
// its patience only.
func TestPausesLeaveTimeForThoseWhoWait(t *testing.T) {
	for patience, longest := range map[time.Duration]time.Duration{
		time.Second:            250 * time.Millisecond,
		100 * time.Millisecond: 100 * time.Millisecond,
		time.Hour:              5 * time.Second,
		-1:                     5 * time.Second,
	} {
		t.Run(patience.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var back atomic.Bool
				w := &works{create: func(context.Context, int) error {
					if back.Load() {
						return nil
					}
					return errBroken
				}}
				p := open(t, w, pool.Config{AcquireTimeout: patience, MinIdle: 1})
				time.Sleep(time.Minute)
				back.Store(true)
				began := time.Now()
				require.Eventually(t, func() bool { return p.Stats().Idle > 0 }, time.Minute, time.Millisecond)
				require.LessOrEqual(t, time.Since(began), longest+time.Millisecond)
			})
		})
	}
}
