package policy_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

var errPeer = errors.New("peer failed")

// try runs one admitted try to its outcome, and reports whether it was admitted.
func try(t *testing.T, b *policy.CircuitBreaker, o policy.Outcome) bool {
	t.Helper()
	p, err := b.Admit(t.Context())
	if err != nil {
		require.ErrorIs(t, err, policy.ErrCircuitOpen)
		return false
	}
	p.Done(t.Context(), o)
	return true
}

func trip(t *testing.T, b *policy.CircuitBreaker, failures int) {
	t.Helper()
	for range failures {
		require.True(t, try(t, b, policy.Failure))
	}
	require.Equal(t, policy.Open, b.State())
}

func TestBreakerOpensAfterFailuresInARow(t *testing.T) {
	b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 3})
	for range 10 {
		try(t, b, policy.Failure)
		try(t, b, policy.Failure)
		try(t, b, policy.Success)
	}
	require.Equal(t, policy.Closed, b.State())
	trip(t, b, 3)
	require.False(t, try(t, b, policy.Success))
}

func TestBreakerZeroValueIsFiveFailuresTwoSuccessesOneMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{})
		trip(t, b, 5)
		time.Sleep(53 * time.Second)
		require.False(t, try(t, b, policy.Success), "cooldown is shortened by a tenth at most")
		time.Sleep(7 * time.Second)
		require.True(t, try(t, b, policy.Success))
		require.Equal(t, policy.HalfOpen, b.State())
		require.True(t, try(t, b, policy.Success))
		require.Equal(t, policy.Closed, b.State())
	})
}

func TestBreakerOpensOnFailureRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureRate: 0.5, MinCalls: 10, Window: 10 * time.Second})
		for range 4 {
			try(t, b, policy.Failure)
			try(t, b, policy.Success)
		}
		require.True(t, try(t, b, policy.Success))
		require.Equal(t, policy.Closed, b.State(), "9 calls are below the minimum")
		try(t, b, policy.Failure)
		require.Equal(t, policy.Open, b.State(), "5 of 10 failed")
	})
}

// The call that completes the minimum may be a success.
func TestBreakerFailureRateIsJudgedOnSuccessToo(t *testing.T) {
	b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureRate: 0.8, MinCalls: 10})
	for range 9 {
		try(t, b, policy.Failure)
	}
	require.Equal(t, policy.Closed, b.State())
	try(t, b, policy.Success)
	require.Equal(t, policy.Open, b.State())
}

func TestBreakerWindowSlides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureRate: 0.5, MinCalls: 10, Window: 10 * time.Second})
		for range 5 {
			try(t, b, policy.Failure)
		}
		time.Sleep(11 * time.Second)
		for range 6 {
			try(t, b, policy.Success)
			try(t, b, policy.Success)
			try(t, b, policy.Failure)
		}
		require.Equal(t, policy.Closed, b.State(), "the old failures have left the window")
		require.Equal(t, 6, b.Stats().Failures)
		require.Equal(t, 18, b.Stats().Calls)
	})
}

// In rate mode the minimum of calls in a row opens too: a busy window would
// need seconds of outage to fill.
func TestBreakerMinCallsInARowOpenABusyWindow(t *testing.T) {
	b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureRate: 0.8, MinCalls: 20})
	for range 1000 {
		try(t, b, policy.Success)
	}
	trip(t, b, 20)
}

func TestBreakerOpensOnSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{SlowCall: time.Second, SlowRate: 0.5, MinCalls: 4})
		call := func(d time.Duration) {
			p, err := b.Admit(t.Context())
			require.NoError(t, err)
			time.Sleep(d)
			p.Done(t.Context(), policy.Success)
		}
		call(time.Millisecond)
		call(time.Millisecond)
		call(time.Second)
		require.Equal(t, policy.Closed, b.State())
		call(2 * time.Second)
		require.Equal(t, policy.Open, b.State())
		require.Equal(t, 2, b.Stats().Slow)
	})
}

func TestBreakerTakesTheTimeToTheResponseNotToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{SlowCall: time.Second, SlowRate: 0.1, MinCalls: 1})
		p, err := b.Admit(t.Context())
		require.NoError(t, err)
		p.Responded()
		time.Sleep(time.Hour)
		p.Done(t.Context(), policy.Success)
		require.Equal(t, policy.Closed, b.State())
		require.Zero(t, b.Stats().Slow)
	})
}

// Trap 13.
func TestBreakerIgnoresCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 1000 {
			err := b.Do(ctx, func(ctx context.Context) error { return ctx.Err() })
			require.ErrorIs(t, err, context.Canceled)
		}
		require.Equal(t, policy.CircuitBreakerStats{Generation: 1}, b.Stats())

		trip(t, b, 5)
		time.Sleep(time.Minute)
		for range 1000 {
			require.True(t, try(t, b, policy.Ignored), "the slot is handed to the next")
			require.Equal(t, policy.HalfOpen, b.State())
		}
	})
}

// Trap 15.
func TestBreakerTrialThatHangsExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{SuccessThreshold: 1})
		trip(t, b, 5)
		time.Sleep(time.Minute)
		hung, err := b.Admit(t.Context())
		require.NoError(t, err)
		require.True(t, hung.Trial())
		time.Sleep(29 * time.Second)
		_, err = b.Admit(t.Context())
		refusal, ok := errors.AsType[*policy.Error](err)
		require.True(t, ok)
		require.Equal(t, policy.ReasonTrialsBusy, refusal.Reason)
		require.Equal(t, time.Second, refusal.RetryAfter)

		time.Sleep(time.Second)
		next, err := b.Admit(t.Context())
		require.NoError(t, err)
		hung.Done(t.Context(), policy.Failure)
		require.Equal(t, policy.HalfOpen, b.State(), "a late result changes nothing")
		next.Done(t.Context(), policy.Success)
		require.Equal(t, policy.Closed, b.State())
	})
}

// Trap 16.
func TestBreakerAdmitsOneOfAThousandAtTheReopenInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{})
		trip(t, b, 5)
		time.Sleep(time.Minute)
		var admitted atomic.Int64
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				p, err := b.Admit(t.Context())
				if err == nil {
					admitted.Add(1)
					time.Sleep(time.Second)
					p.Done(t.Context(), policy.Ignored)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, admitted.Load())
	})
}

// Trap 17.
func TestBreakerLateResultsChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, late := range []policy.Outcome{policy.Success, policy.Failure} {
			b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{SuccessThreshold: 1})
			old := make([]policy.Permit, 100)
			for i := range old {
				old[i], _ = b.Admit(t.Context())
			}
			trip(t, b, 5)
			before := b.Stats()
			for _, p := range old[:50] {
				p.Done(t.Context(), late)
			}
			require.Equal(t, before, b.Stats(), "while open")

			time.Sleep(time.Minute)
			trial, err := b.Admit(t.Context())
			require.NoError(t, err)
			before = b.Stats()
			for _, p := range old[50:75] {
				p.Done(t.Context(), late)
			}
			require.Equal(t, before, b.Stats(), "while half-open")

			trial.Done(t.Context(), policy.Success)
			before = b.Stats()
			for _, p := range old[75:] {
				p.Done(t.Context(), late)
			}
			require.Equal(t, before, b.Stats(), "in the next closed state")
		}
	})
}

func TestBreakerCooldownGrowsToItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{
			FailureThreshold: 1, Cooldown: time.Second, MaxCooldown: 5 * time.Second,
		})
		trip(t, b, 1)
		for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
			got := b.Stats().RetryAfter
			require.LessOrEqual(t, got, want)
			require.GreaterOrEqual(t, got, want*9/10)
			time.Sleep(got)
			require.True(t, try(t, b, policy.Failure))
		}
		time.Sleep(5 * time.Second)
		require.True(t, try(t, b, policy.Success))
		require.True(t, try(t, b, policy.Success))
		trip(t, b, 1)
		require.LessOrEqual(t, b.Stats().RetryAfter, time.Second, "closing starts the growth anew")
	})
}

func trialShare() *policy.CircuitBreaker {
	return policy.NewCircuitBreaker(policy.CircuitBreakerConfig{
		FailureRate: 0.8, MinCalls: 20, SuccessThreshold: 3, Cooldown: time.Second, TrialShare: 0.1,
	})
}

func TestBreakerTrialShareLetsATenthThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := trialShare()
		trip(t, b, 20)
		trials := 0
		for range 500 { // 50 calls a second for 10 s
			time.Sleep(20 * time.Millisecond)
			if try(t, b, policy.Failure) {
				trials++
			}
		}
		require.Equal(t, 50, trials)
		require.Equal(t, policy.Open, b.State())
	})
}

func TestBreakerTrialShareIsBoundedPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := trialShare()
		trip(t, b, 20)
		trials := 0
		for range 50_000 { // 5,000 calls a second for 10 s
			time.Sleep(200 * time.Microsecond)
			if try(t, b, policy.Failure) {
				trials++
			}
		}
		require.InDelta(t, 200, trials, 2)
	})
}

func TestBreakerTrialShareSendsOneASecondWhileOthersHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := trialShare()
		trip(t, b, 20)
		trials := 0
		for range 50 { // 5 calls a second for 10 s, and no trial ever ends
			time.Sleep(200 * time.Millisecond)
			if _, err := b.Admit(t.Context()); err == nil {
				trials++
			}
		}
		require.Equal(t, 10, trials)
		require.Equal(t, 10, b.Stats().Trials)
	})
}

func TestBreakerTrialShareRampsAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := trialShare()
		trip(t, b, 20)
		time.Sleep(time.Second)
		require.True(t, try(t, b, policy.Success))
		require.Equal(t, policy.HalfOpen, b.State())
		first, err := b.Admit(t.Context())
		require.NoError(t, err)
		second, err := b.Admit(t.Context())
		require.NoError(t, err, "one more slot per success")
		_, err = b.Admit(t.Context())
		require.ErrorIs(t, err, policy.ErrCircuitOpen)
		first.Done(t.Context(), policy.Success)
		require.Equal(t, policy.HalfOpen, b.State())
		second.Done(t.Context(), policy.Success)
		require.Equal(t, policy.Closed, b.State())
	})
}

func TestBreakerPeekCountsAsOfferedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := trialShare()
		trip(t, b, 20)
		passed := 0
		for range 100 {
			time.Sleep(20 * time.Millisecond)
			if b.Peek(t.Context()) != nil {
				continue
			}
			passed++
			p, err := b.AdmitPeeked(t.Context())
			require.NoError(t, err)
			p.Done(t.Context(), policy.Failure)
		}
		require.Equal(t, 10, passed)
	})
}

// A trial that says nothing is handed on, but never faster than trials go.
func TestBreakerIgnoredTrialsKeepToTheTrialRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := trialShare()
		trip(t, b, 20)
		trials := 0
		for range 10_000 { // 1,000 calls a second for 10 s
			time.Sleep(time.Millisecond)
			if try(t, b, policy.Ignored) {
				trials++
			}
		}
		require.InDelta(t, 200, trials, 2)
	})
}

func TestBreakerForced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 1}, policy.WithKey("db"))
		b.ForceOpen(t.Context())
		time.Sleep(24 * time.Hour)
		_, err := b.Admit(t.Context())
		require.EqualError(t, err, "magnetar: refused locally by breaker for db: circuit open (forced_open)")
		require.True(t, b.Stats().Forced)
		require.False(t, b.Idle(), "what was forced is not forgotten")

		b.ForceClosed(t.Context())
		for range 10 {
			require.True(t, try(t, b, policy.Failure))
		}
		require.Equal(t, policy.Closed, b.State())

		b.Reset(t.Context())
		require.True(t, try(t, b, policy.Failure))
		require.Equal(t, policy.Open, b.State())
	})
}

func TestBreakerIsKeptUntilUnusedForTwiceItsCooldown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 1, Cooldown: time.Minute})
		require.True(t, b.Idle())
		trip(t, b, 1)
		require.False(t, b.Idle())
		time.Sleep(30 * time.Second)
		require.False(t, try(t, b, policy.Success))
		time.Sleep(2*time.Minute - time.Second - 12*time.Second)
		require.False(t, b.Idle(), "asked again since")
		time.Sleep(14 * time.Second)
		require.True(t, b.Idle())
	})
}

func TestBreakerChangedWakesSleepers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 1})
		changed := b.Changed()
		woken := make(chan policy.State)
		go func() { <-changed; woken <- b.State() }()
		synctest.Wait()
		trip(t, b, 1)
		require.Equal(t, policy.Open, <-woken)
	})
}

// Trap 31: observers run without a lock and are passed the counts from before.
func TestBreakerTellsWhatItCountedBeforeItOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *policy.CircuitBreaker
		var seen []policy.Decision
		b = policy.NewCircuitBreaker(
			policy.CircuitBreakerConfig{FailureRate: 0.5, MinCalls: 4, SuccessThreshold: 1, Cooldown: time.Second},
			policy.WithKey("k"),
			policy.WithObserver(policy.ObserverFunc(func(_ context.Context, d policy.Decision) {
				b.Stats() // would deadlock under the lock
				if d.Action != policy.ActionAdmit {
					d.Began = time.Time{}
					d.RetryAfter = 0
					seen = append(seen, d)
				}
			})))
		try(t, b, policy.Success)
		try(t, b, policy.Failure)
		try(t, b, policy.Success)
		try(t, b, policy.Failure)
		require.False(t, try(t, b, policy.Success))
		time.Sleep(time.Second)
		require.True(t, try(t, b, policy.Success))
		require.Equal(t, []policy.Decision{
			{Policy: "breaker", Action: "open", Reason: "failure_rate", Key: "k", Calls: 4, Failures: 2},
			{Policy: "breaker", Action: "refuse", Reason: "circuit_open", Key: "k"},
			{Policy: "breaker", Action: "half_open", Reason: "cooldown_over", Key: "k", Calls: 4, Failures: 2},
			{Policy: "breaker", Action: "close", Reason: "trials_succeeded", Key: "k", Calls: 1},
		}, seen)
	})
}

// Whoever puts the decisions in the order of their times sees causes first.
func TestBreakerAdmitsATrialAfterItHasHalfOpened(t *testing.T) {
	seen := new(recorder)
	b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 1, Cooldown: 1}, policy.WithObserver(seen))
	trip(t, b, 1)
	require.Eventually(t, func() bool { return try(t, b, policy.Success) }, time.Minute, time.Millisecond)

	last := seen.all[len(seen.all)-2:]
	require.Equal(t, []policy.Action{policy.ActionHalfOpen, policy.ActionAdmit}, []policy.Action{last[0].Action, last[1].Action})
	require.False(t, last[1].Began.Before(last[0].Began))
}

func TestBreakerConfigReportsAllFaults(t *testing.T) {
	err := policy.CircuitBreakerConfig{
		FailureThreshold: -1, FailureRate: math.NaN(), SlowRate: 2, Window: time.Nanosecond, MinCalls: -1,
		SuccessThreshold: -2, Cooldown: time.Minute, MaxCooldown: time.Second, Trials: -1, TrialTimeout: -1,
		TrialShare: math.Inf(1), MaxTrialRate: math.Inf(-1),
	}.Validate()
	require.EqualError(t, err, `failure_threshold: -1: must be ≥ 0
failure_rate: NaN: must be between 0 and 1
slow_rate: 2: must be between 0 and 1
slow_call: 0s: must be set for slow_rate
window: 1ns: must be ≥ 10ms
min_calls: -1: must be ≥ 0
success_threshold: -2: must be ≥ 0
max_cooldown: 1s: must be ≥ cooldown, 1m0s
trials: -1: must be ≥ 0
trial_timeout: -1ns: must be ≥ 0
trial_share: +Inf: must be between 0 and 1
max_trial_rate: -Inf: must be a finite number`)
	require.NoError(t, policy.CircuitBreakerConfig{}.Validate())
	require.Panics(t, func() { policy.NewCircuitBreaker(policy.CircuitBreakerConfig{Trials: -1}) })
}

// Under load from all sides the bookkeeping must hold: run with -race.
func TestBreakerConcurrentUse(t *testing.T) {
	b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{
		FailureRate: 0.5, MinCalls: 5, Cooldown: time.Microsecond, TrialShare: 0.5, MaxTrialRate: -1,
		SlowCall: time.Hour, SlowRate: 1,
	})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				p, err := b.Admit(t.Context())
				if err != nil {
					continue
				}
				p.Responded()
				p.Done(t.Context(), policy.Outcome((i+w)%3))
				p.Done(t.Context(), policy.Failure)
			}
		})
	}
	wg.Wait()
	require.Zero(t, b.Stats().Trials)
	b.Reset(t.Context())
	require.True(t, try(t, b, policy.Success))
}

func TestBreakerDoCountsErrorsOfTheOperation(t *testing.T) {
	b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 2})
	fail := func(err error) func(context.Context) error {
		return func(context.Context) error { return err }
	}
	require.ErrorIs(t, b.Do(t.Context(), fail(errPeer)), errPeer)
	require.ErrorIs(t, b.Do(t.Context(), fail(policy.Permanent(errPeer))), errPeer)
	require.ErrorIs(t, b.Do(t.Context(), fail(&policy.Error{Reason: policy.ReasonRateLimit})), policy.ErrRateLimitExceeded)
	require.Equal(t, 1, b.Stats().FailuresInARow, "a refusal and a permanent error are no failures, nor successes")
	require.ErrorIs(t, b.Do(t.Context(), fail(context.DeadlineExceeded)), context.DeadlineExceeded)
	require.Equal(t, policy.Open, b.State(), "a deadline that is not the caller's own is a failure")
}
