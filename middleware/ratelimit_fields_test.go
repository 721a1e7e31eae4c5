package middleware_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

func TestRateLimitFieldsStandOnEveryResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := policy.RateLimiterConfig{Limit: 4, Per: time.Minute}
		h := newQuota(t, cfg, middleware.ByPeerIP).Handler(answerOK)
		for _, want := range []struct {
			status int
			level  string
		}{
			{http.StatusOK, `"default";r=3;t=45`},
			{http.StatusOK, `"default";r=2;t=30`},
			{http.StatusOK, `"default";r=1;t=15`},
			{http.StatusOK, `"default";r=0;t=15`},
			{http.StatusTooManyRequests, `"default";r=0;t=15`},
		} {
			w := askFrom(h, alice)
			require.Equal(t, want.status, w.Code)
			require.Equal(t, []string{`"default";q=4;w=60`}, w.Header().Values("Ratelimit-Policy"))
			require.Equal(t, []string{want.level}, w.Header().Values("Ratelimit"))
		}
		time.Sleep(14500 * time.Millisecond)
		require.Equal(t, `"default";r=0;t=1`, askFrom(h, alice).Header().Get("Ratelimit"), "whole seconds, rounded up")
	})
}

func TestRetryAfterIsNoEarlierThanTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newQuota(t, perHour(60), middleware.ByPeerIP,
			middleware.WithQuota("daily", policy.RateLimiterConfig{Limit: 1000, Per: 24 * time.Hour})).Handler(answerOK)
		admittedOf(h, 60, alice)
		for range 100 {
			w := askFrom(h, alice)
			require.Equal(t, `"default";r=0;t=60, "daily";r=940`, w.Header().Get("Ratelimit"))
			after, err := time.ParseDuration(w.Header().Get("Retry-After") + "s")
			require.NoError(t, err)
			require.GreaterOrEqual(t, after, time.Minute)
		}
	})
}

func TestRateLimitPolicyField(t *testing.T) {
	for _, tt := range []struct {
		cfg  policy.RateLimiterConfig
		opts []middleware.Option
		want string
	}{
		{perSecond(100), nil, `"default";q=100;w=1`},
		{perHour(5), []middleware.Option{middleware.WithName("per user")}, `"per user";q=5;w=3600`},
		{
			perSecond(10),
			[]middleware.Option{middleware.WithQuota("hourly", perHour(1000)), middleware.WithQuota("x", perSecond(7))},
			`"default";q=10;w=1, "hourly";q=1000;w=3600, "x";q=7;w=1`,
		},
		{policy.RateLimiterConfig{Limit: 5, Per: 100 * time.Millisecond}, nil, `"default";q=5`},
		{policy.RateLimiterConfig{Limit: 5, Per: 1500 * time.Millisecond}, nil, `"default";q=5`},
		{
			policy.RateLimiterConfig{Limit: int(365 * 24 * time.Hour), Per: 365 * 24 * time.Hour},
			nil,
			`"default";q=999999999999999;w=31536000`,
		},
	} {
		w := askFrom(newQuota(t, tt.cfg, middleware.ByPeerIP, tt.opts...).Handler(answerOK), alice)
		require.Equal(t, tt.want, w.Header().Get("Ratelimit-Policy"))
	}
}

func TestQuotasWithinEachOtherAddToTheFields(t *testing.T) {
	outer := newQuota(t, perHour(10), middleware.ByPeerIP, middleware.WithName("outer"))
	inner := newQuota(t, perHour(5), middleware.ByPeerIP, middleware.WithName("inner"))
	h := outer.Handler(inner.Handler(answerOK))
	for range 2 {
		w := askFrom(h, alice)
		require.Equal(t, []string{`"outer";q=10;w=3600`, `"inner";q=5;w=3600`}, w.Header().Values("Ratelimit-Policy"))
		require.Len(t, w.Header().Values("Ratelimit"), 2)
	}
}

func TestWithoutFields(t *testing.T) {
	h := newQuota(t, perHour(1), middleware.ByPeerIP, middleware.WithoutFields()).Handler(answerOK)
	require.Empty(t, askFrom(h, alice).Header())
	w := askFrom(h, alice)
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Empty(t, w.Header().Get("Ratelimit"))
	require.NotEmpty(t, w.Header().Get("Retry-After"))
}
