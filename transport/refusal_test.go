package transport_test

import (
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// Trap 12: a refusal says that it is local, why, and until when; an outer
// transport neither repeats it nor counts it.
func TestTrap12RefusalsAreTypedAndLeftAloneOutside(t *testing.T) {
	trip := transport.Config{Breaker: &policy.CircuitBreakerConfig{FailureThreshold: 1}}
	throttled := transport.Config{Throttle: &transport.Throttle{MaxWait: -1}}
	for _, c := range []struct {
		name       string
		inner      transport.Config
		first      answer
		sentinel   error
		reason     policy.Reason
		retryAfter time.Duration
		hold       bool // keep the first body
	}{
		{name: "breaker", inner: trip, first: status(500), sentinel: policy.ErrCircuitOpen, reason: policy.ReasonCircuitOpen, retryAfter: time.Minute},
		{
			name:  "rate limit",
			inner: transport.Config{RateLimit: &policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: time.Second}},
			first: status(200), sentinel: policy.ErrRateLimitExceeded, reason: policy.ReasonRateLimit, retryAfter: time.Hour,
		},
		{name: "throttle", inner: throttled, first: status(429, "Retry-After", "25"), sentinel: policy.ErrRateLimitExceeded, reason: policy.ReasonKeyHeld, retryAfter: 25 * time.Second},
		{
			name:  "concurrency",
			inner: transport.Config{Concurrency: &policy.ConcurrencyConfig{Limit: 1}},
			first: status(200), sentinel: policy.ErrSaturated, reason: policy.ReasonLimitReached, hold: true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(c.first)
				inner := transport.New(p, c.inner)
				var asked atomic.Int32
				counted := roundTrip(func(r *http.Request) (*http.Response, error) {
					asked.Add(1)
					return inner.RoundTrip(r)
				})
				outer := transport.New(counted, transport.Config{
					Retry: &transport.Retry{}, Breaker: &policy.CircuitBreakerConfig{FailureThreshold: 1},
				})
				before, err := inner.RoundTrip(get(t))
				require.NoError(t, err)
				if !c.hold {
					content(t, before)
				}

				_, err = (&http.Client{Transport: outer}).Do(get(t))
				_, ok := errors.AsType[*url.Error](err)
				require.True(t, ok)
				require.ErrorIs(t, err, c.sentinel)
				own, ok := errors.AsType[*policy.Error](err)
				require.True(t, ok)
				require.Equal(t, c.reason, own.Reason)
				require.Equal(t, "http://peer.test:80", own.Key)
				require.Contains(t, err.Error(), "locally")
				require.InDelta(t, c.retryAfter, own.RetryAfter, float64(c.retryAfter)/5)
				require.False(t, own.Timeout())

				require.EqualValues(t, 1, asked.Load(), "a refusal was repeated")
				require.Len(t, p.seen(), 1)
				s := state(t, outer)
				require.Equal(t, policy.Closed, s.Breaker.State)
				require.Zero(t, s.Breaker.FailuresInARow)
				require.EqualValues(t, 10, s.BudgetTokens)
				require.NoError(t, before.Body.Close())
				requireGivenBack(t, inner)
				requireGivenBack(t, outer)
			})
		})
	}
}
