package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

func TestEveryErrorNamesThePool(t *testing.T) {
	key := pool.WithKey("db")
	for _, c := range []struct {
		name string
		w    *works
		cfg  pool.Config
		call func(*testing.T, *pool.Pool[*line]) error
		want policy.Reason
	}{
		{"no time left", &works{create: oneSecond}, pool.Config{AcquireTimeout: time.Millisecond}, acquire, policy.ReasonAcquireTimeout},
		{"permanent", &works{create: func(context.Context, int) error { return policy.Permanent(errBroken) }}, pool.Config{}, acquire, policy.ReasonConnectionFailed},
		{"none idle", &works{create: oneSecond}, pool.Config{MaxSize: 1}, func(t *testing.T, p *pool.Pool[*line]) error {
			_, err := p.TryAcquire(t.Context())
			return err
		}, policy.ReasonNoneIdle},
		{"too many", &works{}, pool.Config{MaxSize: 1, MaxWaiting: -1}, func(t *testing.T, p *pool.Pool[*line]) error {
			defer lease(t, p).Release()
			return acquire(t, p)
		}, policy.ReasonTooManyWaiters},
		{"closed", &works{}, pool.Config{}, func(t *testing.T, p *pool.Pool[*line]) error {
			require.NoError(t, p.Close(t.Context()))
			return acquire(t, p)
		}, policy.ReasonClosed},
		{"resize of a closed one", &works{}, pool.Config{}, func(t *testing.T, p *pool.Pool[*line]) error {
			require.NoError(t, p.Close(t.Context()))
			return p.Resize(1)
		}, policy.ReasonClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				own, ok := errors.AsType[*policy.Error](c.call(t, open(t, c.w, c.cfg, key)))
				require.True(t, ok)
				require.Equal(t, c.want, own.Reason)
				require.Equal(t, policy.PolicyPool, own.Policy)
				require.Equal(t, "db", own.Key)
			})
		})
	}
}

func acquire(t *testing.T, p *pool.Pool[*line]) error {
	l, err := p.Acquire(t.Context())
	l.Release()
	return err
}

func TestErrorsOfChecksAndCreationsNameThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		w := &works{
			create: func(ctx context.Context, id int) error {
				if id > 0 {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			},
			check: hangs,
		}
		p := open(t, w, pool.Config{MaxSize: 1, CreateTimeout: time.Second}, pool.WithKey("db"), pool.WithObserver(&d))
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := p.Acquire(ctx)
		require.ErrorIs(t, err, policy.ErrUnhealthyConnection, "the check that failed meanwhile is among the causes")
		told := append(d.of(policy.ActionRetire), d.of(policy.ActionCreate)[1])
		for _, one := range told {
			outer, ok := errors.AsType[*policy.Error](one.Err)
			require.True(t, ok)
			inner, ok := errors.AsType[*policy.Error](outer.Err)
			require.True(t, ok)
			require.Equal(t, []string{"db", "db"}, []string{outer.Key, inner.Key})
			require.ErrorIs(t, inner, policy.ErrTimeout)
		}
		require.Equal(t, policy.ReasonCreateTimeout, told[1].Reason)

		later, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err = p.Acquire(later)
		require.ErrorIs(t, err, policy.ErrPoolExhausted)
		require.NotErrorIs(t, err, policy.ErrUnhealthyConnection, "an earlier one is not")
	})
}
