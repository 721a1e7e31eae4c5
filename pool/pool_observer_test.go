package pool_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

func TestObserversThatFailKeepNoConnection(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func()
	}{{"panic", func() { panic(errBroken) }}, {"Goexit", runtime.Goexit}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var on atomic.Bool
				p := open(t, &works{}, pool.Config{MaxSize: 1}, pool.WithObserver(policy.ObserverFunc(
					func(_ context.Context, d policy.Decision) {
						if on.Load() && d.Action == policy.ActionAcquire {
							c.fail()
						}
					})))
				caller := func() {
					defer func() { _ = recover() }()
					_, _ = p.Acquire(t.Context())
				}
				on.Store(true)
				go caller()
				synctest.Wait()
				require.Equal(t, 1, p.Stats().Idle)

				on.Store(false)
				held := lease(t, p)
				on.Store(true)
				go caller() // waits first
				synctest.Wait()
				held.Release()
				synctest.Wait()
				require.Equal(t, 1, p.Stats().Idle)
			})
		})
	}
}

func TestObserversThatEndTheGoroutineKeepNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &works{}, pool.Config{MaxSize: 1}, pool.WithObserver(policy.ObserverFunc(
			func(_ context.Context, d policy.Decision) {
				if d.Action != policy.ActionAcquire {
					runtime.Goexit()
				}
			})))
		lease(t, p).Discard(nil)
		lease(t, p).Release()
		require.NoError(t, p.Close(t.Context()))
	})
}

func TestPoolTellsWhatItDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		p := open(t, &works{create: oneSecond}, pool.Config{MaxSize: 1, MaxWaiting: -1},
			pool.WithKey("db"), pool.WithObserver(&d))
		began := time.Now()
		time.Sleep(3 * time.Second)
		held := lease(t, p) // three seconds after it was begun
		_, err := p.Acquire(t.Context())
		require.Error(t, err)
		time.AfterFunc(5*time.Second, held.Release)
		held.Release()
		held = lease(t, p)
		require.NoError(t, p.Resize(2))
		time.Sleep(2 * time.Second)
		held.Release()

		made := d.of(policy.ActionCreate)
		require.Len(t, made, 2)
		require.Equal(t, policy.Decision{
			Policy: policy.PolicyPool, Action: policy.ActionCreate, Key: "db", Began: began, Took: time.Second,
		}, made[0])
		lent := d.of(policy.ActionAcquire)
		require.Len(t, lent, 2)
		require.Equal(t, policy.Decision{
			Policy: policy.PolicyPool, Action: policy.ActionAcquire, Key: "db", Began: began.Add(3 * time.Second),
			Age: 2 * time.Second, Limit: 1, InFlight: 1,
		}, lent[0])
		require.True(t, lent[1].Reused)
		refused := d.of(policy.ActionRefuse)
		require.Len(t, refused, 1)
		require.Equal(t, policy.ReasonTooManyWaiters, refused[0].Reason)
		require.Equal(t, []int{1, 1}, []int{refused[0].Limit, refused[0].InFlight})
		exhausted, ok := errors.AsType[*pool.ExhaustedError](refused[0].Err)
		require.True(t, ok)
		require.Equal(t, 1, exhausted.Stats.Active)
	})
}

func TestPoolTellsHowLongCallersWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		p := open(t, &works{}, pool.Config{MaxSize: 1}, pool.WithObserver(&d))
		held := lease(t, p)
		began := time.Now()
		time.AfterFunc(time.Second, held.Release)
		lease(t, p).Release()
		lent := d.of(policy.ActionAcquire)[1]
		require.Equal(t, time.Second, lent.Took)
		require.Equal(t, began, lent.Began)
		require.Equal(t, time.Second, p.Stats().WaitTime)
		require.Equal(t, uint64(1), p.Stats().Waits)

		held = lease(t, p)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := p.Acquire(ctx)
		require.ErrorIs(t, err, policy.ErrPoolExhausted)
		refused := d.of(policy.ActionRefuse)
		require.Equal(t, policy.ReasonAcquireTimeout, refused[0].Reason)
		require.Equal(t, 2*time.Second, refused[0].Took)

		gone, leave := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, leave)
		_, err = p.Acquire(gone)
		require.ErrorIs(t, err, context.Canceled)
		left := d.of(policy.ActionWait)
		require.Equal(t, policy.ReasonCanceled, left[0].Reason)
		require.Equal(t, 3*time.Second, left[0].Took)
		require.Equal(t, time.Second, p.Stats().WaitTime, "who got none is not counted")
		held.Release()
	})
}

func TestLeaksAreTakenByTheCallerAlsoAfterWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		p := open(t, &works{}, pool.Config{MaxSize: 1, LeakAfter: time.Minute}, pool.WithObserver(&d))
		first := lease(t, p)
		time.Sleep(time.Hour)
		time.AfterFunc(time.Second, first.Release)
		second := lease(t, p)
		time.Sleep(time.Hour)
		told := d.of(policy.ActionLeak)
		require.Len(t, told, 2)
		for _, one := range told {
			leak, ok := errors.AsType[*pool.LeakError](one.Err)
			require.True(t, ok)
			frame, _, _ := strings.Cut(leak.Stack, "\n")
			require.True(t, strings.HasSuffix(frame, ".Acquire"), frame)
		}
		second.Release()
	})
}
