package pool_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

func TestPoolSurvivesFactoriesThatFail(t *testing.T) {
	hang := func(context.Context) (net.Conn, error) { time.Sleep(time.Hour); return nil, nil }
	for _, c := range []struct {
		name   string
		create func(context.Context) (net.Conn, error)
		says   string
	}{
		{"nil", func(context.Context) (net.Conn, error) { return nil, nil }, "returned nil"},
		{"typed nil", func(context.Context) (net.Conn, error) { return (*net.TCPConn)(nil), nil }, "returned nil"},
		{"panic", func(context.Context) (net.Conn, error) { panic(errBroken) }, "panicked: broken"},
		{"Goexit", func(context.Context) (net.Conn, error) { runtime.Goexit(); return nil, nil }, "runtime.Goexit"},
		{"hang", hang, "no connection within 1s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, err := pool.New(pool.Funcs(c.create, nil, nil), pool.Config{CreateTimeout: time.Second, AcquireTimeout: 10 * time.Second})
				require.NoError(t, err)
				_, err = p.Acquire(t.Context())
				require.ErrorIs(t, err, policy.ErrConnectionCreation)
				require.ErrorIs(t, err, policy.ErrPoolExhausted)
				require.ErrorContains(t, err, c.says)
				require.Equal(t, c.name == "hang", errors.Is(err, policy.ErrTimeout))
				require.Equal(t, c.name == "panic", errors.Is(err, errBroken))
				require.NoError(t, p.Close(t.Context()))
				time.Sleep(2 * time.Hour) // until those that hang are done
			})
		})
	}
}

func TestPoolClosesWhatIsMadeTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{create: func(_ context.Context, id int) error {
			if id == 0 {
				time.Sleep(time.Minute)
			}
			return nil
		}}
		p := open(t, w, pool.Config{MaxSize: 1, CreateTimeout: time.Second})
		lease(t, p).Release()
		time.Sleep(time.Hour)
		require.Equal(t, int32(1), w.lines()[0].closes.Load())
		require.Equal(t, 1, p.Stats().Idle)
	})
}

func TestPermanentCreateErrorIsNotWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &works{create: func(context.Context, int) error { return policy.Permanent(errBroken) }}
		p := open(t, w, pool.Config{})
		began := time.Now()
		_, err := p.Acquire(t.Context())
		require.ErrorIs(t, err, policy.ErrConnectionCreation)
		require.NotErrorIs(t, err, policy.ErrPoolExhausted)
		require.ErrorIs(t, err, errBroken)
		require.Less(t, time.Since(began), time.Second)
	})
}

func TestPermanentErrorIsNotWaitedOutWhileOneIsBeingClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bad atomic.Bool
		w := &works{
			create: func(context.Context, int) error {
				if bad.Load() {
					return policy.Permanent(errBroken)
				}
				return nil
			},
			close: func(*line) error { time.Sleep(time.Hour); return nil },
		}
		p := open(t, w, pool.Config{MaxSize: 2, MinIdle: -1, CloseTimeout: 20 * time.Second})
		l := lease(t, p)
		bad.Store(true)
		l.Discard(nil)
		began := time.Now()
		_, err := p.Acquire(t.Context())
		require.ErrorIs(t, err, errBroken)
		require.Zero(t, time.Since(began))
	})
}

func TestGateRefusesCreation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaker := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 1, Cooldown: time.Hour})
		w := &works{create: func(context.Context, int) error { return errBroken }}
		p := open(t, w, pool.Config{MaxCreating: 1}, pool.WithGate(breaker))
		_, err := p.Acquire(t.Context())
		require.ErrorIs(t, err, policy.ErrCircuitOpen)
		require.ErrorIs(t, err, errBroken) // is not hidden by the refusals that follow
		require.False(t, policy.Refused(err))
		require.Len(t, w.lines(), 1)

		unasked := open(t, &works{}, pool.Config{}, pool.WithGate(breaker))
		_, err = unasked.Acquire(t.Context())
		require.ErrorIs(t, err, policy.ErrCircuitOpen)
		require.True(t, policy.Refused(err))
	})
}

func TestChecksThatPanicOrExitFail(t *testing.T) {
	for _, check := range []func(context.Context, *line) error{
		func(context.Context, *line) error { panic("oh") },
		func(context.Context, *line) error { runtime.Goexit(); return nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			p := open(t, &works{check: check}, pool.Config{MaxSize: 1})
			time.Sleep(2 * time.Second)
			l := lease(t, p)
			require.Equal(t, 1, l.Value().id)
			l.Release()
			require.Equal(t, uint64(1), p.Stats().Closes(policy.ReasonUnhealthy))
		})
	}
}

func TestPoolRecoversOnceConnectionsCanBeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := &works{create: func(context.Context, int) error {
			if time.Since(began) < 20*time.Second {
				return errBroken
			}
			return nil
		}}
		p := open(t, w, pool.Config{})
		lease(t, p).Release()
		require.Less(t, time.Since(began), 26*time.Second)
		time.Sleep(time.Second)
		require.GreaterOrEqual(t, p.Stats().Idle, 2)
	})
}

func TestZeroLeaseHasNothingToGiveBack(t *testing.T) {
	var l pool.Lease[*line]
	l.Release()
	l.Discard(errBroken)
	require.Nil(t, l.Detach())
	require.Nil(t, l.Value())
}

// Whatever is done to a pool at once, it has no more than it may, lends nothing
// to two, and closes each connection once.
func TestPoolKeepsItsBooksUnderStress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 8
		w := fickle()
		p := open(t, w, pool.Config{
			MaxSize: size, MaxLifetime: 50 * time.Millisecond, CheckAfter: 5 * time.Millisecond,
			IdleTimeout: 20 * time.Millisecond, MaintainEvery: time.Millisecond, LeakAfter: 10 * time.Millisecond,
		})
		var mu sync.Mutex
		held, detached := map[*line]bool{}, map[*line]bool{}
		hold := func(l *line, on bool) {
			mu.Lock()
			defer mu.Unlock()
			if held[l] == on {
				t.Errorf("line %d is lent to two", l.id)
			}
			held[l] = on
		}
		var users sync.WaitGroup
		use := func(n int) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%7)*time.Millisecond)
			defer cancel()
			l, err := p.Acquire(ctx)
			if err != nil {
				return
			}
			defer l.Release() // once too often for some
			v := l.Value()
			hold(v, true)
			time.Sleep(time.Duration(n%3) * time.Millisecond)
			hold(v, false)
			switch n % 11 {
			case 0:
				l.Discard(errBroken)
			case 1:
				mu.Lock()
				detached[l.Detach()] = true
				mu.Unlock()
			}
		}
		for i := range 32 {
			users.Go(func() {
				for k := range 200 {
					use(i*7919 + k*104729)
				}
			})
		}
		users.Go(func() {
			for k := range 100 {
				if k%10 == 0 {
					p.Retire("now and then")
				}
				s := p.Stats()
				if n := s.Idle + s.Active + s.Creating + s.Closing; n > size {
					t.Errorf("%d of %d", n, size)
				}
				time.Sleep(3 * time.Millisecond)
			}
		})
		users.Wait()
		require.NoError(t, p.Close(t.Context()))
		s := p.Stats()
		require.Zero(t, s.Idle+s.Active+s.Creating+s.Closing+s.Waiting)
		requireClosedOnce(t, w.lines(), detached)
	})
}

// fickle works fail now and then.
func fickle() *works {
	return &works{
		create: func(_ context.Context, id int) error {
			time.Sleep(time.Duration(id%5) * time.Millisecond)
			if id%7 == 3 {
				return errBroken
			}
			return nil
		},
		check: func(_ context.Context, l *line) error {
			if l.id%3 == 0 {
				return errBroken
			}
			return nil
		},
	}
}

func requireClosedOnce(t *testing.T, lines []*line, detached map[*line]bool) {
	t.Helper()
	for _, l := range lines {
		want := int32(1)
		if detached[l] {
			want = 0
		}
		require.Equal(t, want, l.closes.Load(), "line %d", l.id)
	}
}
