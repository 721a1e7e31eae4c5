package policy_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// onlooker is an observer that looks at all that is shown to it.
type onlooker struct {
	policy.Observer

	mu      sync.Mutex
	sources map[int]iter.Seq[policy.Status]
	added   int
	results []policy.Result
}

func newOnlooker() *onlooker {
	return &onlooker{
		Observer: policy.ObserverFunc(func(context.Context, policy.Decision) {}),
		sources:  make(map[int]iter.Seq[policy.Status]),
	}
}

func (o *onlooker) Watch(statuses iter.Seq[policy.Status]) (stop func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.added++
	id := o.added
	o.sources[id] = statuses
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.sources, id)
	}
}

func (o *onlooker) ObserveResult(_ context.Context, r policy.Result) {
	o.results = append(o.results, r)
}

func (o *onlooker) watching() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.sources)
}

// see returns all statuses in the order in which their sources were made.
func (o *onlooker) see() []policy.Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []policy.Status
	for id := 1; id <= o.added; id++ {
		if s := o.sources[id]; s != nil {
			all = append(all, slices.Collect(s)...)
		}
	}
	return all
}

func TestPoliciesShowHowTheyStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOnlooker()
		seen := policy.WithObserver(o)
		breaker := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 3, Cooldown: time.Minute}, seen, policy.WithKey("db"))
		limiter := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 5, Per: time.Minute}, seen, policy.WithKey("api"))
		limit := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 2}, seen, policy.WithName(policy.PolicyShed))
		retry := policy.NewRetry(policy.RetryConfig{Budget: &policy.BudgetConfig{Burst: 4}}, seen, policy.WithKey("orders"))

		broken := errors.New("broken")
		_ = breaker.Do(t.Context(), func(context.Context) error { return broken })
		_, err := limit.Admit(t.Context())
		require.NoError(t, err)
		require.Equal(t, []policy.Status{
			{Policy: policy.PolicyBreaker, Key: "db", State: "closed", Calls: 1, Failures: 1},
			{Policy: policy.PolicyRateLimit, Key: "api", Limit: 5, Per: time.Minute},
			{Policy: policy.PolicyShed, Limit: 2, InFlight: 1},
			{Policy: policy.PolicyRetry, Key: "orders", Tokens: 4, Limit: 4},
		}, o.see())

		for range 2 {
			_ = breaker.Do(t.Context(), func(context.Context) error { return broken })
		}
		open := o.see()[0]
		require.Equal(t, "open", open.State)
		require.InDelta(t, time.Minute, open.RetryAfter, float64(6*time.Second+1)) // jittered
		require.False(t, open.Forced)
		breaker.ForceOpen(t.Context())
		require.True(t, o.see()[0].Forced)

		for _, p := range []any{breaker, limiter, limit, retry} {
			runtime.KeepAlive(p)
		}
	})
}

func TestRetryWithoutABudgetHasNothingToShow(t *testing.T) {
	o := newOnlooker()
	retry := policy.NewRetry(policy.RetryConfig{}, policy.WithObserver(o))
	require.Zero(t, o.watching())
	runtime.KeepAlive(retry)
}

func TestWatchedIsForgottenWithItsUser(t *testing.T) {
	o := newOnlooker()
	func() {
		breaker := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{}, policy.WithObserver(policy.Observers(o, newOnlooker())))
		require.Len(t, o.see(), 1)
		runtime.KeepAlive(breaker)
	}()
	require.Eventually(t, func() bool {
		runtime.GC()
		return o.watching() == 0
	}, 10*time.Second, time.Millisecond)
}

func TestWatchEndsWhenStopped(t *testing.T) {
	o := newOnlooker()
	v := new([64]byte)
	stop := policy.Watch(policy.Observers(nil, policy.Observers(o, o)), v, func(*[64]byte) iter.Seq[policy.Status] {
		return slices.Values([]policy.Status{{Key: "a"}, {Key: "b"}})
	})
	require.Equal(t, 2, o.watching(), "once for each place in the fan")
	var first []policy.Status
	for s := range o.sources[1] {
		first = append(first, s)
		break
	}
	require.Equal(t, []policy.Status{{Key: "a"}}, first)
	stop()
	require.Zero(t, o.watching())
	stop()
	runtime.KeepAlive(v)
}

// wrapper is an observer around another.
type wrapper struct{ inner policy.Observer }

func (w wrapper) Observe(ctx context.Context, d policy.Decision) { w.inner.Observe(ctx, d) }
func (w wrapper) Unwrap() policy.Observer                        { return w.inner }

func TestAWrappedObserverLooksThroughItsWrapper(t *testing.T) {
	o := newOnlooker()
	wrapped := wrapper{policy.Observers(wrapper{o}, wrapper{nil})}
	breaker := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{}, policy.WithObserver(wrapped))
	require.Len(t, o.see(), 1)
	policy.ResultObservers(wrapped).ObserveResult(t.Context(), policy.Result{})
	require.Len(t, o.results, 1)
	runtime.KeepAlive(breaker)
}

func TestNothingIsNotShown(t *testing.T) {
	o := newOnlooker()
	policy.Watch(o, (*policy.CircuitBreaker)(nil), func(*policy.CircuitBreaker) iter.Seq[policy.Status] { return nil })()
	require.Zero(t, o.watching())
}

func TestNobodyIsShownToThoseWhoDoNotLook(t *testing.T) {
	blind := policy.ObserverFunc(func(context.Context, policy.Decision) {})
	for _, o := range []policy.Observer{nil, blind, policy.Observers(blind, blind)} {
		policy.Watch(o, new([64]byte), func(*[64]byte) iter.Seq[policy.Status] {
			t.Error("looked at")
			return nil
		})()
		require.Nil(t, policy.ResultObservers(o))
	}
}

func TestResultsReachAllWhoWantThem(t *testing.T) {
	a, b := newOnlooker(), newOnlooker()
	r := policy.Result{Key: "api", Took: time.Second, Outcome: policy.Failure}
	policy.ResultObservers(a).ObserveResult(t.Context(), r)
	policy.ResultObservers(policy.Observers(a, policy.ObserverFunc(func(context.Context, policy.Decision) {}), b)).ObserveResult(t.Context(), r)
	require.Equal(t, []policy.Result{r, r}, a.results)
	require.Equal(t, []policy.Result{r}, b.results)
}
