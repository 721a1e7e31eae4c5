package policy_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// heed is an operation that lasts until its context ends.
func heed(ctx context.Context) error {
	<-ctx.Done()
	return fmt.Errorf("heed: %w", ctx.Err())
}

func TestTimeoutEndsTheContextOfItsOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told recorder
		timeout := policy.NewTimeout(1500*time.Millisecond, policy.WithKey("db"), policy.WithObserver(&told))
		began := time.Now()
		var cause error
		err := timeout.Do(t.Context(), func(ctx context.Context) error {
			defer func() { cause = context.Cause(ctx) }()
			return heed(ctx)
		})
		require.Equal(t, 1500*time.Millisecond, time.Since(began))
		require.EqualError(t, err, "magnetar: local timeout by timeout for db: timeout (timeout): took longer than 1.5s")
		require.Same(t, cause, err)
		require.ErrorIs(t, err, policy.ErrTimeout)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
		require.False(t, policy.Refused(err))
		var e *policy.Error
		require.ErrorAs(t, err, &e)
		require.True(t, e.Timeout())
		require.Equal(t, []policy.Decision{{
			Policy: policy.PolicyTimeout,
			Action: policy.ActionTimeout,
			Reason: policy.ReasonTimeout,
			Key:    "db",
			Began:  began,
			Took:   1500 * time.Millisecond,
			Err:    err,
		}}, told.all)
	})
}

func TestTimeoutKeepsWhatItsOperationMarked(t *testing.T) {
	unknown := errors.New("nobody knows whether it was written")
	for name, c := range map[string]struct {
		mark  func(error) error
		tries int
	}{"permanent": {policy.Permanent, 1}, "transient": {policy.Transient, 3}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				retry := policy.NewRetry(policy.RetryConfig{MaxRetries: 2})
				tries := 0
				err := policy.Do(t.Context(), func(ctx context.Context) error {
					tries++
					return c.mark(fmt.Errorf("%w: %w", unknown, heed(ctx)))
				}, retry, policy.NewTimeout(time.Second))
				require.Equal(t, c.tries, tries)
				require.ErrorIs(t, err, policy.ErrTimeout)
				require.ErrorIs(t, err, unknown)
				require.ErrorContains(t, err, "took longer than 1s: nobody knows")
				require.Equal(t, name == "permanent", policy.IsPermanent(err))
				require.NotErrorIs(t, err, context.DeadlineExceeded, "it was not the caller's")
			})
		})
	}
}

func TestTimeoutLeavesOtherEndsAsTheyAre(t *testing.T) {
	failed, gone := errors.New("failed"), errors.New("gone")
	cases := map[string]struct {
		caller func(context.Context) (context.Context, context.CancelFunc)
		op     func(context.Context) error
		err    error
	}{
		"success":        {op: func(context.Context) error { return nil }},
		"failure":        {op: func(context.Context) error { return failed }, err: failed},
		"late success":   {op: func(context.Context) error { time.Sleep(time.Minute); return nil }},
		"late failure":   {op: func(context.Context) error { time.Sleep(time.Minute); return failed }, err: failed},
		"own deadline":   {op: func(context.Context) error { return context.DeadlineExceeded }, err: context.DeadlineExceeded},
		"caller expires": {caller: expiring, op: heed, err: context.DeadlineExceeded},
		"caller cancels": {
			caller: func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(time.Millisecond, func() { cancel(gone) })
				return ctx, func() { cancel(nil) }
			},
			op:  func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) },
			err: gone,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.caller != nil {
					var cancel context.CancelFunc
					ctx, cancel = c.caller(ctx)
					defer cancel()
				}
				err := policy.NewTimeout(time.Second).Do(ctx, c.op)
				require.ErrorIs(t, err, c.err)
				require.NotErrorIs(t, err, policy.ErrTimeout)
			})
		})
	}
}

func expiring(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Millisecond)
}

func TestNestedTimeoutsTellWhoseTimeRanOut(t *testing.T) {
	cases := map[string]struct {
		outer, inner time.Duration
		key          string
	}{
		"inner": {outer: time.Minute, inner: time.Second, key: "inner"},
		"outer": {outer: time.Second, inner: time.Minute, key: "outer"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := policy.Do(t.Context(), heed,
					policy.NewTimeout(c.outer, policy.WithKey("outer")),
					policy.NewTimeout(c.inner, policy.WithKey("inner")))
				var e *policy.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, c.key, e.Key)
			})
		})
	}
}

func TestTimeoutInsideAGateIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var outcomes []policy.Outcome
		gate := gateFunc(func(context.Context) (policy.Permit, error) {
			return policy.NewPermit(func(_ context.Context, o policy.Outcome) { outcomes = append(outcomes, o) }), nil
		})
		err := policy.Do(t.Context(), heed, policy.Guard(gate), policy.NewTimeout(time.Second))
		require.ErrorIs(t, err, policy.ErrTimeout)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err = policy.Do(ctx, heed, policy.Guard(gate), policy.NewTimeout(time.Second))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, []policy.Outcome{policy.Failure, policy.Ignored}, outcomes)
	})
}

func TestTimeoutOfAnOperationThatPanicsLeavesNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ctx context.Context
		require.PanicsWithValue(t, "op", func() {
			_ = policy.NewTimeout(time.Second).Do(t.Context(), func(c context.Context) error {
				ctx = c
				panic("op")
			})
		})
		require.Equal(t, context.Canceled, ctx.Err())
	})
}

func TestNewTimeoutPanicsWithoutATime(t *testing.T) {
	require.Panics(t, func() { policy.NewTimeout(0) })
	require.Panics(t, func() { policy.NewTimeout(-time.Second) })
}

// A write that may have happened is not repeated, but its peer is at fault.
func TestTimeoutOfAMarkedOperationIsAFailureOfItsPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaker := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 2})
		write := func(ctx context.Context) error { return policy.Permanent(heed(ctx)) }
		for range 2 {
			_ = policy.Do(t.Context(), write, breaker, policy.NewTimeout(time.Second))
		}
		require.Equal(t, policy.Open, breaker.State())
	})
}
