package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

const (
	alice = "192.0.2.1:1001"
	bob   = "192.0.2.2:1002"
)

var answerOK = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
})

func perSecond(n int) policy.RateLimiterConfig { return policy.RateLimiterConfig{Limit: n} }

func perHour(n int) policy.RateLimiterConfig {
	return policy.RateLimiterConfig{Limit: n, Per: time.Hour}
}

func newQuota(t testing.TB, cfg policy.RateLimiterConfig, key middleware.KeyFunc, opts ...middleware.Option) *middleware.Quota {
	t.Helper()
	q, err := middleware.NewQuota(cfg, key, append([]middleware.Option{middleware.WithTelemetry(nil)}, opts...)...)
	require.NoError(t, err)
	return q
}

// askFrom sends a request from remote through h; each change alters it first.
func askFrom(h http.Handler, remote string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.RemoteAddr = remote
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func withHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// admittedOf tells how many of n requests from remote pass.
func admittedOf(h http.Handler, n int, remote string) int {
	passed := 0
	for range n {
		if askFrom(h, remote).Code == http.StatusOK {
			passed++
		}
	}
	return passed
}

// byWeight reads a weight that the tests put into a header.
func byWeight(r *http.Request) int {
	var n int
	_, _ = fmt.Sscan(r.Header.Get("Weight"), &n)
	return n
}

func TestQuotaGivesItsLimitAtOnceAndThenItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newQuota(t, perSecond(10), middleware.ByPeerIP).Handler(answerOK)
		require.Equal(t, 10, admittedOf(h, 20, alice))
		time.Sleep(99 * time.Millisecond)
		require.Equal(t, 0, admittedOf(h, 5, alice))
		time.Sleep(time.Millisecond)
		require.Equal(t, 1, admittedOf(h, 5, alice))
		time.Sleep(time.Hour)
		require.Equal(t, 10, admittedOf(h, 20, alice), "no more is saved up")
	})
}

func TestQuotaWithSmoothPacingKeepsRequestsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := policy.RateLimiterConfig{Limit: 10, Pacing: policy.PacingSmooth}
		h := newQuota(t, cfg, middleware.ByPeerIP).Handler(answerOK)
		for range 5 {
			require.Equal(t, 1, admittedOf(h, 3, alice))
			time.Sleep(100 * time.Millisecond)
		}
	})
}

func TestQuotaNeverLimitsOneClientForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newQuota(t, perSecond(3), middleware.ByPeerIP).Handler(answerOK)
		require.Equal(t, 3, admittedOf(h, 100, alice))
		require.Equal(t, 3, admittedOf(h, 100, bob))
	})
}

func TestQuotaNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := policy.RateLimiterConfig{Limit: 1, MaxWait: time.Hour}
		h := newQuota(t, cfg, middleware.ByPeerIP).Handler(answerOK)
		began := time.Now()
		require.Equal(t, 1, admittedOf(h, 10, alice))
		require.Zero(t, time.Since(began))
	})
}

func TestQuotaAdmitsExactlyItsLimitToManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, perSecond(50), middleware.ByPeerIP, middleware.WithQuota("hourly", perHour(40)))
		h := q.Handler(answerOK)
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { askFrom(h, alice) })
		}
		wg.Wait()
		stats := q.Stats()
		require.EqualValues(t, 40, stats.Admitted)
		require.EqualValues(t, 160, stats.Refused)
		require.Equal(t, 1, stats.Keys)
	})
}

func TestQuotaBelongsToTheValueAndNotToTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := middleware.RateLimit(perSecond(3), middleware.ByPeerIP, middleware.WithTelemetry(nil))
		first, second := limit(answerOK), limit(answerOK) // as chi does, once per route
		require.Equal(t, 2, admittedOf(first, 2, alice))
		require.Equal(t, 1, admittedOf(second, 2, alice))
	})
}

func TestQuotasAreChargedTogetherOrNotAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, perSecond(10), middleware.ByPeerIP, middleware.WithQuota("hourly", perHour(15)))
		h := q.Handler(answerOK)
		require.Equal(t, 10, admittedOf(h, 20, alice), "ten that the second refuses cost the hour nothing")
		time.Sleep(time.Second)
		require.Equal(t, 5, admittedOf(h, 20, alice))
		time.Sleep(time.Second)
		w := askFrom(h, alice)
		require.Equal(t, http.StatusTooManyRequests, w.Code)
		require.Equal(t, `"default";r=10, "hourly";r=0;t=238`, w.Header().Get("Ratelimit"))
	})
}

func TestQuotaWeighsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newQuota(t, perSecond(10), middleware.ByPeerIP, middleware.WithWeight(byWeight)).Handler(answerOK)
		weigh := func(n int) *httptest.ResponseRecorder {
			return askFrom(h, alice, withHeader("Weight", fmt.Sprint(n)))
		}
		require.Equal(t, http.StatusOK, weigh(7).Code)
		require.Equal(t, http.StatusTooManyRequests, weigh(4).Code)
		require.Equal(t, http.StatusOK, weigh(3).Code)
		require.Equal(t, http.StatusOK, weigh(0).Code, "free")
		require.Equal(t, http.StatusOK, weigh(-1000).Code, "free, and nothing is given back")
		require.Equal(t, http.StatusTooManyRequests, weigh(1).Code)
		time.Sleep(time.Second)
		require.Equal(t, http.StatusOK, weigh(10).Code)
	})
}

func TestQuotaTellsNoTimeToWhatCanNeverPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []policy.Decision
		h := newQuota(t, perSecond(10), middleware.ByPeerIP, middleware.WithWeight(byWeight),
			middleware.WithQuota("hourly", perHour(100)), recordQuota(&told)).Handler(answerOK)
		for _, n := range []string{"11", "9223372036854775807"} {
			w := askFrom(h, alice, withHeader("Weight", n))
			require.Equal(t, http.StatusTooManyRequests, w.Code)
			require.Empty(t, w.Header().Values("Retry-After"))
			require.NotContains(t, w.Header().Get("Ratelimit"), `"default";r=10;t`)
		}
		require.Zero(t, told[0].RetryAfter)
		require.Equal(t, 10, told[0].Limit)
	})
}

func TestQuotaFreeRequestsOfStrangersTakeNoMemory(t *testing.T) {
	q := newQuota(t, perSecond(10), middleware.ByPeerIP, middleware.WithWeight(byWeight))
	w := askFrom(q.Handler(answerOK), alice)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, `"default";r=10;t=1`, w.Header().Get("Ratelimit"))
	require.Zero(t, q.Stats().Keys)
}

func TestQuotaRefusalTellsWhenToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := make(chan *policy.Error, 1)
		h := newQuota(t, perHour(60), middleware.ByPeerIP, middleware.WithRefusal(
			func(w http.ResponseWriter, r *http.Request, e *policy.Error) {
				w.WriteHeader(http.StatusTooManyRequests)
				refused <- e
			})).Handler(answerOK)
		admittedOf(h, 60, alice)
		time.Sleep(15 * time.Second)
		require.Equal(t, http.StatusTooManyRequests, askFrom(h, alice).Code)
		e := <-refused
		require.ErrorIs(t, e, policy.ErrRateLimitExceeded)
		require.Equal(t, policy.Error{
			Reason: policy.ReasonRateLimit, Policy: policy.PolicyQuota, Key: "192.0.2.1", RetryAfter: 45 * time.Second,
		}, *e)
		time.Sleep(e.RetryAfter)
		require.Equal(t, 1, admittedOf(h, 2, alice))
	})
}

func TestQuotaRefusalNamesNoClient(t *testing.T) {
	h := newQuota(t, perHour(1), middleware.ByHeader("X-Api-Key")).Handler(answerOK)
	key := withHeader("X-Api-Key", "s3cret-of-alice")
	require.Equal(t, http.StatusOK, askFrom(h, alice, key).Code)
	w := askFrom(h, alice, key)
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.NotContains(t, w.Body.String()+fmt.Sprint(w.Header()), "s3cret")
}

func TestQuotaInShadowLetsPassAndOnlyTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []policy.Decision
		q := newQuota(t, perSecond(1), middleware.ByPeerIP, middleware.WithShadow(), recordQuota(&told))
		h := q.Handler(answerOK)
		require.Equal(t, http.StatusOK, askFrom(h, alice).Code)
		w := askFrom(h, alice)
		require.Equal(t, http.StatusOK, w.Code)
		require.Empty(t, w.Header())
		require.Equal(t, policy.ActionRefuse, told[1].Action)
		require.True(t, told[1].Shadow)
		require.EqualValues(t, 1, q.Stats().Refused)
	})
}

func TestQuotaDrainRefusesAndCloses(t *testing.T) {
	var told []policy.Decision
	q := newQuota(t, perSecond(10), middleware.ByPeerIP, recordQuota(&told))
	h := q.Handler(answerOK)
	require.NoError(t, q.Drain(t.Context()))
	w := askFrom(h, alice)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "close", w.Header().Get("Connection"))
	require.Equal(t, policy.ReasonClosed, told[0].Reason)
}

func TestQuotaTellsItsDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []policy.Decision
		h := newQuota(t, perSecond(1), middleware.ByPeerIP, recordQuota(&told)).Handler(answerOK)
		admittedOf(h, 2, alice)
		now := time.Now()
		require.Equal(t, []policy.Decision{
			{Policy: policy.PolicyQuota, Action: policy.ActionAdmit, Key: "192.0.2.1", Limit: 1, Began: now},
			{
				Policy: policy.PolicyQuota, Action: policy.ActionRefuse, Reason: policy.ReasonRateLimit,
				Key: "192.0.2.1", Limit: 1, Began: now, RetryAfter: time.Second,
			},
		}, withoutRoute(told))
	})
}

func TestQuotaBuildsNoDecisionThatNobodyWants(t *testing.T) {
	h := newQuota(t, perSecond(1), middleware.ByPeerIP, middleware.WithObserver(asleep{t})).Handler(answerOK)
	require.Equal(t, 1, admittedOf(h, 2, alice))
}

// asleep wants no decision.
type asleep struct{ t *testing.T }

func (asleep) Enabled(context.Context) bool { return false }

func (a asleep) Observe(_ context.Context, d policy.Decision) { a.t.Errorf("told %+v", d) }

func recordQuota(told *[]policy.Decision) middleware.Option {
	return middleware.WithObserver(policy.ObserverFunc(func(_ context.Context, d policy.Decision) {
		*told = append(*told, d)
	}))
}

func withoutRoute(told []policy.Decision) []policy.Decision {
	for i := range told {
		told[i].Route = ""
	}
	return told
}

func TestQuotaUpdateKeepsWhatWasUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, perHour(10), middleware.ByPeerIP, middleware.WithQuota("daily",
			policy.RateLimiterConfig{Limit: 1000, Per: 24 * time.Hour}))
		h := q.Handler(answerOK)
		require.Equal(t, 8, admittedOf(h, 8, alice))
		require.NoError(t, q.Update(perHour(100)))
		require.Equal(t, 92, admittedOf(h, 200, alice), "100 less the 8 that were used")
		require.NoError(t, q.Update(perHour(10), middleware.WithQuota("daily", perHour(5))))
		require.Equal(t, 0, admittedOf(h, 10, alice))
		require.Equal(t, 5, admittedOf(h, 10, bob))
		time.Sleep(6 * time.Minute)
		require.Equal(t, 0, admittedOf(h, 10, alice), "five an hour: one every twelve minutes")
		time.Sleep(6 * time.Minute)
		require.Equal(t, 1, admittedOf(h, 10, alice))
	})
}

func TestQuotaUpdateRejectsWhatIsInvalidAndStaysAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, perHour(3), middleware.ByPeerIP)
		h := q.Handler(answerOK)
		require.EqualError(t, q.Update(policy.RateLimiterConfig{Per: -1}, middleware.WithQuota("daily", perHour(1))),
			"quota: \"daily\": must be the name of a further quota\n"+
				"limit: 0: must be ≥ 1\n"+
				"per: -1ns: must be > 0")
		require.Equal(t, 3, admittedOf(h, 10, alice))
		require.NoError(t, q.Update(perHour(5)), "a later one works")
		require.Equal(t, 2, admittedOf(h, 10, alice))
	})
}

func TestQuotaThatGrowsUnderLoadNeverGivesMoreThanTheLargestLimit(t *testing.T) {
	q := newQuota(t, perHour(1), middleware.ByPeerIP)
	h := q.Handler(answerOK)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { passed.Add(int64(admittedOf(h, 500, alice))) })
	}
	for i := range 100 {
		require.NoError(t, q.Update(perHour(1+i)))
	}
	wg.Wait()
	require.LessOrEqual(t, passed.Load(), int64(100))
}

func TestQuotaSaysAllThatIsWrong(t *testing.T) {
	opts := []middleware.Option{
		middleware.WithName(`a"b`),
		middleware.WithQuota("daily", policy.RateLimiterConfig{Limit: -1}),
		middleware.WithQuota("daily", perSecond(1)),
	}
	_, err := middleware.NewQuota(policy.RateLimiterConfig{Pacing: "wild"}, nil, opts...)
	require.EqualError(t, err, strings.Join([]string{
		`key: must be set`,
		`limit: 0: must be ≥ 1`,
		`pacing: "wild": must be "bursty" or "smooth"`,
		`name: "a\"b": must be 1 to 64 printable ASCII characters without quotes and backslashes`,
		`quota["daily"].limit: -1: must be ≥ 1`,
		`name: "daily": must be given once`,
	}, "\n"))
	_, err = middleware.NewQuota(perSecond(1), middleware.ByPeerIP, middleware.WithStore(newStore(0, nil)))
	require.EqualError(t, err, "name: must be set with a shared store, where quotas of one name count together")
	require.PanicsWithError(t, "magnetar: invalid RateLimit:\nkey: must be set",
		func() { middleware.RateLimit(perSecond(1), nil) })
	for range 8 {
		opts = append(opts, middleware.WithQuota("more", perSecond(1)))
	}
	_, err = middleware.NewQuota(perSecond(1), middleware.ByPeerIP, opts...)
	require.ErrorContains(t, err, "quota: 11 of them: must be ≤ 8")
}
