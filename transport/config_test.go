package transport_test

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

func invalid() transport.Config {
	return transport.Config{
		Timeouts: &transport.Timeouts{Total: time.Second, Attempt: 2 * time.Second},
		Retry: &transport.Retry{
			InitialBackoff: -time.Second, Multiplier: 0.5,
			Budget: &policy.BudgetConfig{Share: math.NaN(), PerSecond: math.Inf(1), Burst: -1},
		},
		Throttle:    &transport.Throttle{MaxHold: -time.Second},
		RateLimit:   &policy.RateLimiterConfig{},
		Concurrency: &policy.ConcurrencyConfig{MaxQueue: -1},
		Breaker:     &policy.CircuitBreakerConfig{FailureRate: 2, Trials: -1, TrialShare: math.NaN(), MaxTrialRate: math.Inf(1)},
		MaxKeys:     -1,
	}
}

func TestConfigReportsEveryFaultAtOnceWithItsPath(t *testing.T) {
	err := invalid().Validate()
	require.Error(t, err)
	want := []string{
		"timeouts.attempt: ",
		"retry.initial_backoff: ",
		"retry.multiplier: ",
		"retry.budget.share: ",
		"retry.budget.per_second: ",
		"retry.budget.burst: ",
		"throttle.max_hold: ",
		"rate_limit.limit: ",
		"concurrency.max_queue: ",
		"breaker.failure_rate: ",
		"breaker.trials: ",
		"breaker.trial_share: ",
		"breaker.max_trial_rate: ",
		"max_keys: ",
	}
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, len(want))
	for i, line := range lines {
		require.Truef(t, strings.HasPrefix(line, want[i]), "%q begins with %q", line, want[i])
	}
}

func TestMultiplierMustBeFiniteAndAtLeastOne(t *testing.T) {
	for _, m := range []float64{0.5, -1, math.NaN(), math.Inf(1), math.Inf(-1)} {
		err := transport.Config{Retry: &transport.Retry{Multiplier: m}}.Validate()
		require.ErrorContains(t, err, "retry.multiplier: ")
	}
}

func TestNewPanicsOnWhatValidateReports(t *testing.T) {
	cfg := invalid()
	defer func() {
		err, ok := recover().(error)
		require.True(t, ok, "it panics with an error")
		require.ErrorContains(t, err, cfg.Validate().Error())
	}()
	transport.New(nil, cfg)
}

func TestValidConfigs(t *testing.T) {
	cases := map[string]transport.Config{
		"zero":                        {},
		"default":                     transport.Default(),
		"empty parts":                 {Timeouts: &transport.Timeouts{}, Retry: &transport.Retry{}, Throttle: &transport.Throttle{}, Breaker: &policy.CircuitBreakerConfig{}},
		"no bounds":                   {Timeouts: &transport.Timeouts{Total: -1, Attempt: -1, BodyIdle: -1}},
		"an attempt without a total":  {Timeouts: &transport.Timeouts{Total: -1, Attempt: time.Hour}},
		"a total below the attempt's": {Timeouts: &transport.Timeouts{Total: time.Second}},
		"no retries":                  {Retry: &transport.Retry{MaxRetries: -1, MaxRetryAfter: -1}},
		"a backoff bound below":       {Retry: &transport.Retry{MaxBackoff: 50 * time.Millisecond}},
		"a first backoff above":       {Retry: &transport.Retry{InitialBackoff: 10 * time.Second}},
		"no waiting":                  {Throttle: &transport.Throttle{MaxWait: -1}},
	}
	for name, cfg := range cases {
		require.NoError(t, cfg.Validate(), name)
		require.NotPanics(t, func() { transport.New(nil, cfg) }, name)
	}
}

func TestEmptyPartsAreThoseOfDefault(t *testing.T) {
	for _, cfg := range []transport.Config{
		{},
		{Retry: &transport.Retry{}},
	} {
		p := newPeer(status(http.StatusServiceUnavailable))
		resp, err := transport.New(p, cfg).RoundTrip(get(t))
		require.NoError(t, err)
		content(t, resp)
		want := 1
		if cfg.Retry != nil {
			want = transport.Default().Retry.MaxRetries + 1
		}
		require.Len(t, p.seen(), want)
	}
}
