package pool_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

type gateFunc func(context.Context) (policy.Permit, error)

func (g gateFunc) Admit(ctx context.Context) (policy.Permit, error) { return g(ctx) }

// tally is a gate that admits everything, and counts what came of it.
type tally [3]atomic.Int32

func (c *tally) Admit(context.Context) (policy.Permit, error) {
	return policy.NewPermit(func(_ context.Context, o policy.Outcome) { c[o].Add(1) }), nil
}

func (c *tally) of(o policy.Outcome) int { return int(c[o].Load()) }

func TestNilGateIsNoGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lease(t, open(t, &works{}, pool.Config{}, pool.WithGate(nil))).Release()
	})
}

func TestPoolSurvivesGatesThatFail(t *testing.T) {
	for _, c := range []struct {
		name  string
		admit gateFunc
		late  bool
	}{
		{"panic", func(context.Context) (policy.Permit, error) { panic(errBroken) }, false},
		{"Goexit", func(context.Context) (policy.Permit, error) { runtime.Goexit(); return policy.Permit{}, nil }, false},
		{"hang", func(context.Context) (policy.Permit, error) { time.Sleep(time.Hour); return policy.Permit{}, nil }, true},
		{"wait", func(ctx context.Context) (policy.Permit, error) {
			<-ctx.Done()
			return policy.Permit{}, context.Cause(ctx)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var before tally
				w := &works{}
				p := open(t, w, pool.Config{MaxSize: 1, CreateTimeout: time.Second, AcquireTimeout: 5 * time.Second},
					pool.WithGate(&before), pool.WithGate(c.admit))
				_, err := p.Acquire(t.Context())
				require.ErrorIs(t, err, policy.ErrPoolExhausted)
				require.ErrorIs(t, err, policy.ErrConnectionCreation)
				require.Equal(t, c.late, errors.Is(err, policy.ErrTimeout))
				require.False(t, policy.Refused(err))
				began := time.Now()
				require.NoError(t, p.Close(t.Context()))
				require.Less(t, time.Since(began), time.Second)
				require.Zero(t, p.Stats().Creating)
				require.Empty(t, w.lines())
				time.Sleep(2 * time.Hour)
				require.NotZero(t, before.of(policy.Ignored), "who was asked before is told")
				require.Zero(t, before.of(policy.Success)+before.of(policy.Failure))
			})
		})
	}
}

func TestPoolSurvivesPermitsThatFail(t *testing.T) {
	for _, c := range []struct {
		name string
		done func(context.Context, policy.Outcome)
	}{
		{"panic", func(context.Context, policy.Outcome) { panic(errBroken) }},
		{"Goexit", func(context.Context, policy.Outcome) { runtime.Goexit() }},
		{"hang", func(context.Context, policy.Outcome) { time.Sleep(time.Hour) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var before tally
				g := gateFunc(func(context.Context) (policy.Permit, error) { return policy.NewPermit(c.done), nil })
				p := open(t, &works{}, pool.Config{MaxSize: 1, CreateTimeout: time.Second}, pool.WithGate(&before), pool.WithGate(g))
				lease(t, p).Release()
				time.Sleep(2 * time.Hour)
				require.NotZero(t, before.of(policy.Success))
				require.Zero(t, before.of(policy.Ignored)+before.of(policy.Failure))
			})
		})
	}
}

func TestGatesAreToldWhatCameOfIt(t *testing.T) {
	for _, c := range []struct {
		name   string
		create func(context.Context, int) error
		want   policy.Outcome
	}{
		{"made", func(context.Context, int) error { return nil }, policy.Success},
		{"failed", func(context.Context, int) error { return errBroken }, policy.Failure},
		{"too late", func(context.Context, int) error { time.Sleep(time.Hour); return nil }, policy.Failure},
		{"nothing the peer could do about", func(context.Context, int) error { return policy.Permanent(errBroken) }, policy.Ignored},
		{"panicked", func(context.Context, int) error { panic(errBroken) }, policy.Ignored},
		{"refused within", func(context.Context, int) error {
			return &policy.Error{Reason: policy.ReasonAcquireTimeout, Policy: policy.PolicyPool}
		}, policy.Ignored},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told tally
				open(t, &works{create: c.create}, pool.Config{MaxSize: 1, CreateTimeout: time.Minute}, pool.WithGate(&told))
				time.Sleep(90 * time.Second)
				for _, o := range []policy.Outcome{policy.Success, policy.Failure, policy.Ignored} {
					require.Equal(t, o == c.want, told.of(o) > 0, o)
				}
			})
		})
	}
}

func TestGatesAreNotToldThatAPoolIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told tally
		w := &works{create: func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }}
		p := open(t, w, pool.Config{MaxSize: 1}, pool.WithGate(&told))
		require.NoError(t, p.Close(t.Context()))
		require.Equal(t, 1, told.of(policy.Ignored))
		require.Zero(t, told.of(policy.Failure))
	})
}
