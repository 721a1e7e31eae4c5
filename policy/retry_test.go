package policy_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

var errFlaky = errors.New("flaky")

// failingOp is an operation that fails with err, and how often it ran.
type failingOp struct {
	err   error
	tries int
}

func (f *failingOp) op(context.Context) error {
	f.tries++
	return f.err
}

func TestRetryStopsAtTheFirstSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := policy.NewRetry(policy.RetryConfig{}).Do(t.Context(), func(context.Context) error {
			if tries++; tries < 3 {
				return errFlaky
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 3, tries)
	})
}

func TestRetryRunsOutWithTheCountAndTheLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := failingOp{err: errFlaky}
		err := policy.NewRetry(policy.RetryConfig{}, policy.WithKey("db")).Do(t.Context(), f.op)
		require.ErrorIs(t, err, policy.ErrMaxRetriesExceeded)
		require.ErrorIs(t, err, errFlaky)
		e, ok := errors.AsType[*policy.Error](err)
		require.True(t, ok)
		require.Equal(t, policy.Error{
			Reason: policy.ReasonMaxRetries, Policy: policy.PolicyRetry, Key: "db", Attempts: 4, Err: errFlaky,
		}, *e)
		require.Equal(t, 4, f.tries)
	})
}

func TestRetryTurnedOffReturnsTheErrorAsItIs(t *testing.T) {
	f := failingOp{err: errFlaky}
	r := policy.NewRetry(policy.RetryConfig{MaxRetries: -1})
	require.Same(t, errFlaky, r.Do(t.Context(), f.op))
	require.Equal(t, 1, f.tries)
	require.Zero(t, r.MaxRetries())
}

func TestRetryTellsErrorsWorthAnotherTry(t *testing.T) {
	refusal := &policy.Error{Reason: policy.ReasonCircuitOpen, Policy: policy.PolicyBreaker}
	exhausted := &policy.Error{Reason: policy.ReasonMaxRetries, Policy: policy.PolicyRetry, Err: errFlaky}
	timeout := &policy.Error{Reason: policy.ReasonTimeout, Policy: policy.PolicyTimeout, Err: errors.New("took longer than 1s")}
	for _, c := range []struct {
		name    string
		err     error
		retried bool
	}{
		{"unmarked", errFlaky, true},
		{"marked transient", policy.Transient(errFlaky), true},
		{"marked permanent", policy.Permanent(errFlaky), false},
		{"permanent, wrapped", fmt.Errorf("query: %w", policy.Permanent(errFlaky)), false},
		{"canceled", context.Canceled, false},
		{"deadline exceeded, wrapped", fmt.Errorf("get: %w", context.DeadlineExceeded), false},
		{"context error marked transient", policy.Transient(context.DeadlineExceeded), true},
		{"timeout of the kit", timeout, true},
		{"refusal", refusal, false},
		{"refusal, wrapped", fmt.Errorf("get: %w", refusal), false},
		{"refusal marked transient", policy.Transient(refusal), true},
		{"inner retries ran out", exhausted, false},
		{"inner retries ran out on a transient error",
			&policy.Error{Reason: policy.ReasonMaxRetries, Err: policy.Transient(errFlaky)}, false},
		{"the end of inner retries marked transient", policy.Transient(exhausted), true},
		{"transient outside, permanent inside", policy.Transient(policy.Permanent(errFlaky)), true},
		{"permanent outside, transient inside", policy.Permanent(policy.Transient(errFlaky)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := failingOp{err: c.err}
				err := policy.NewRetry(policy.RetryConfig{MaxRetries: 1}).Do(t.Context(), f.op)
				if c.retried {
					require.Equal(t, 2, f.tries)
					return
				}
				require.Equal(t, 1, f.tries)
				require.Equal(t, c.err, err, "as it is")
			})
		})
	}
}

func TestRetryIfReplacesTheRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		onlyCanceled := policy.RetryIf(func(err error) bool { return errors.Is(err, context.Canceled) })
		r := policy.NewRetry(policy.RetryConfig{MaxRetries: 1}, onlyCanceled)

		f := failingOp{err: policy.Transient(errFlaky)}
		require.ErrorIs(t, r.Do(t.Context(), f.op), errFlaky)
		require.Equal(t, 1, f.tries)

		f = failingOp{err: context.Canceled}
		require.ErrorIs(t, r.Do(t.Context(), f.op), policy.ErrMaxRetriesExceeded)
		require.Equal(t, 2, f.tries)
	})
}

func TestRetryNeverComesBackBeforeRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const after = 2 * time.Second
		r := policy.NewRetry(policy.RetryConfig{MaxRetries: 1})
		apart := map[time.Duration]bool{}
		for range 200 {
			f := failingOp{err: fmt.Errorf("put: %w", &policy.Error{RetryAfter: after, Err: errFlaky})}
			began := time.Now()
			require.ErrorIs(t, r.Do(t.Context(), f.op), policy.ErrMaxRetriesExceeded)
			waited := time.Since(began)
			require.GreaterOrEqual(t, waited, after)
			require.Less(t, waited, after+100*time.Millisecond)
			apart[waited] = true
		}
		require.Greater(t, len(apart), 100, "those told the same time do not come back in step")
	})
}

func TestRetryDoesNotBeginAWaitThatOutlastsTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var seen recorder
		r := policy.NewRetry(policy.RetryConfig{Budget: &policy.BudgetConfig{PerSecond: -1, Burst: 1}}, policy.WithObserver(&seen))
		f := failingOp{err: &policy.Error{RetryAfter: time.Second, Err: errFlaky}}
		began := time.Now()
		require.Equal(t, f.err, r.Do(ctx, f.op))
		require.Zero(t, time.Since(began))
		require.Equal(t, 1, f.tries)
		require.Equal(t, policy.ActionGiveUp, seen.last().Action)
		require.Equal(t, policy.ReasonDeadline, seen.last().Reason)

		f = failingOp{err: errFlaky}
		require.ErrorIs(t, r.Do(t.Context(), f.op), errFlaky)
		require.Equal(t, 2, f.tries, "and takes no token")
	})
}

func TestRetryAfterOfCenturiesDoesNotOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		f := failingOp{err: &policy.Error{RetryAfter: math.MaxInt64, Err: errFlaky}}
		require.Equal(t, f.err, policy.NewRetry(policy.RetryConfig{}).Do(ctx, f.op))
		require.Equal(t, 1, f.tries)
	})
}

func TestRetryAsksTheBudgetBeforeItSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		r := policy.NewRetry(policy.RetryConfig{
			MaxRetries: 5,
			Budget:     &policy.BudgetConfig{Share: -1, PerSecond: -1, Burst: 2},
		}, policy.WithObserver(&seen))
		f := failingOp{err: errFlaky}
		require.Same(t, errFlaky, r.Do(t.Context(), f.op))
		require.Equal(t, 3, f.tries)

		began := time.Now()
		require.Same(t, errFlaky, r.Do(t.Context(), f.op))
		require.Zero(t, time.Since(began))
		require.Equal(t, 4, f.tries)
		require.Equal(t, policy.ActionGiveUp, seen.last().Action)
		require.Equal(t, policy.ReasonBudget, seen.last().Reason)
	})
}

func TestRetryThatEndsWellCostsNoBudget(t *testing.T) {
	for name, end := range map[string]error{
		"success":           nil,
		"permanent":         policy.Permanent(errFlaky),
		"refused, not sent": &policy.Error{Reason: policy.ReasonCircuitOpen},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := policy.NewRetry(policy.RetryConfig{Budget: &policy.BudgetConfig{Share: -1, PerSecond: -1, Burst: 1}})
				for range 50 {
					tries := 0
					err := r.Do(t.Context(), func(context.Context) error {
						if tries++; tries == 1 {
							return errFlaky
						}
						return end
					})
					require.Equal(t, end, err)
					require.Equal(t, 2, tries)
				}
			})
		})
	}
}

func TestRetryCountsItsCallsForTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := policy.NewRetry(policy.RetryConfig{
			MaxRetries: 3,
			Budget:     &policy.BudgetConfig{Share: 0.1, PerSecond: -1, Burst: 10},
		})
		f := failingOp{err: errFlaky}
		const calls = 1000
		for range calls {
			require.ErrorIs(t, r.Do(t.Context(), f.op), errFlaky)
		}
		require.LessOrEqual(t, f.tries, calls+calls/10+10)
		require.Greater(t, f.tries, calls+calls/10-10)
	})
}

func TestRetryEndedDuringAWaitMatchesTheContextAndTheLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errShutdown := errors.New("shutting down")
		for name, cause := range map[string]error{"no cause": nil, "cause": errShutdown} {
			var seen recorder
			r := policy.NewRetry(policy.RetryConfig{Budget: &policy.BudgetConfig{Share: -1, PerSecond: -1, Burst: 1}}, policy.WithObserver(&seen))
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			f := failingOp{err: &policy.Error{RetryAfter: time.Hour, Err: errFlaky}}
			began := time.Now()
			err := r.Do(ctx, f.op)
			require.Equal(t, time.Second, time.Since(began), name)
			require.ErrorIs(t, err, context.Canceled, name)
			require.ErrorIs(t, err, errFlaky, name)
			if cause != nil {
				require.ErrorIs(t, err, cause)
			}
			require.Equal(t, 1, f.tries, name)
			d := seen.last()
			require.Equal(t, policy.ActionGiveUp, d.Action, name)
			require.Equal(t, policy.ReasonCanceled, d.Reason, name)
			require.Equal(t, time.Second, d.Took, name)

			f = failingOp{err: errFlaky}
			require.ErrorIs(t, r.Do(t.Context(), f.op), errFlaky, name)
			require.Equal(t, 2, f.tries, "the token of the retry that was never sent is back")
		}
	})
}

func TestRetryMakesNoTryAfterTheContextEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var seen recorder
	tries := 0
	err := policy.NewRetry(policy.RetryConfig{}, policy.WithObserver(&seen)).Do(ctx, func(context.Context) error {
		tries++
		cancel()
		return errFlaky
	})
	require.Same(t, errFlaky, err)
	require.Equal(t, 1, tries)
	require.Equal(t, policy.ReasonCanceled, seen.last().Reason)
}

func TestRetryTellsItsDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		r := policy.NewRetry(policy.RetryConfig{MaxRetries: 1}, policy.WithObserver(&seen), policy.WithKey("db"))
		began := time.Now()
		f := failingOp{err: errFlaky}
		require.Error(t, r.Do(t.Context(), f.op))
		end := time.Now()
		require.Equal(t, []policy.Decision{
			{
				Policy: policy.PolicyRetry, Action: policy.ActionWait, Reason: policy.ReasonError, Key: "db",
				Attempt: 1, Began: began, Took: end.Sub(began), Err: errFlaky,
			},
			{
				Policy: policy.PolicyRetry, Action: policy.ActionGiveUp, Reason: policy.ReasonMaxRetries, Key: "db",
				Attempt: 2, Began: end, Err: errFlaky,
			},
		}, seen.all)

		timeout := failingOp{err: &policy.Error{Reason: policy.ReasonTimeout, Err: errFlaky}}
		seen.all = nil
		require.Error(t, r.Do(t.Context(), timeout.op))
		require.Equal(t, policy.ReasonTimeout, seen.all[0].Reason, "why it is retried")

		final := failingOp{err: policy.Permanent(errFlaky)}
		require.Error(t, r.Do(t.Context(), final.op))
		require.Equal(t, policy.ReasonNotRetryable, seen.last().Reason)
	})
}

func TestRetryRepeatsTriesThatTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := policy.Do(t.Context(), func(ctx context.Context) error {
			if tries++; tries == 3 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}, policy.NewRetry(policy.RetryConfig{}), policy.NewTimeout(time.Second))
		require.NoError(t, err)
		require.Equal(t, 3, tries)
	})
}

func TestRetryGivesUpAtADeadlineThatPassedDuringATry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var seen recorder
		r := policy.NewRetry(policy.RetryConfig{}, policy.WithObserver(&seen))
		err := r.Do(ctx, func(ctx context.Context) error {
			<-ctx.Done()
			return errFlaky
		})
		require.Same(t, errFlaky, err)
		require.Equal(t, policy.ReasonDeadline, seen.last().Reason)
	})
}

func TestRetryLetsAPanicThrough(t *testing.T) {
	r := policy.NewRetry(policy.RetryConfig{})
	require.PanicsWithValue(t, "boom", func() {
		_ = r.Do(t.Context(), func(context.Context) error { panic("boom") })
	})
}

func TestRetryConfigReportsAllFaults(t *testing.T) {
	require.NoError(t, policy.RetryConfig{}.Validate())
	require.NoError(t, policy.RetryConfig{MaxRetries: -1, Multiplier: 1, Budget: &policy.BudgetConfig{}}.Validate())
	require.EqualError(t, policy.RetryConfig{
		InitialBackoff: -time.Second,
		MaxBackoff:     -3 * time.Second,
		Multiplier:     0.5,
		Budget:         &policy.BudgetConfig{Share: 2, PerSecond: math.NaN(), Burst: -1},
	}.Validate(), `initial_backoff: -1s: must be ≥ 0
max_backoff: -3s: must be ≥ 0
multiplier: 0.5: must be ≥ 1
budget.share: 2: must be between 0 and 1
budget.per_second: NaN: must be a finite number
budget.burst: -1: must be ≥ 0`)
	require.EqualError(t, policy.RetryConfig{InitialBackoff: time.Second, MaxBackoff: time.Millisecond}.Validate(),
		"max_backoff: 1ms: must be ≥ initial_backoff, 1s")
	for _, m := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1} {
		require.Error(t, policy.RetryConfig{Multiplier: m}.Validate(), "multiplier %v", m)
		require.Panics(t, func() { policy.NewRetry(policy.RetryConfig{Multiplier: m}) })
	}
}

func TestRetryWithoutAFailureAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := policy.NewRetry(policy.RetryConfig{Budget: &policy.BudgetConfig{}}, policy.WithObserver(&recorder{}))
	ctx, op := t.Context(), func(context.Context) error { return nil }
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = r.Do(ctx, op) }))
}

func BenchmarkRetryDo(b *testing.B) {
	ctx, op := b.Context(), func(context.Context) error { return nil }
	for name, budget := range map[string]*policy.BudgetConfig{"plain": nil, "budget": {}} {
		b.Run(name, func(b *testing.B) {
			r := policy.NewRetry(policy.RetryConfig{Budget: budget})
			b.ReportAllocs()
			for b.Loop() {
				_ = r.Do(ctx, op)
			}
		})
	}
}
