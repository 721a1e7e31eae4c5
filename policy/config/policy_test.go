package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/policy/config"
)

func TestPolicyConfigsReadTheSameFromEverywhere(t *testing.T) {
	t.Parallel()
	want := outbound{
		Retry:       &policy.RetryConfig{MaxRetries: -1, MaxBackoff: 5 * time.Second, Budget: &policy.BudgetConfig{Share: 0.2}},
		RateLimit:   &policy.RateLimiterConfig{Limit: 100, Per: time.Minute, MaxWait: -time.Second},
		Concurrency: &policy.ConcurrencyConfig{Limit: 5},
		Breaker:     &policy.CircuitBreakerConfig{},
	}
	sources := map[string]config.Source{
		"YAML": config.YAML([]byte(`
retry: {max_retries: -1, max_backoff: 5s, budget: {share: 0.2}}
rate_limit: {limit: 100, per: 1m, max_wait: -1s}
concurrency: {limit: 5}
breaker: {}
`)),
		"JSON": config.JSON([]byte(`{
"retry": {"max_retries": -1, "max_backoff": "5s", "budget": {"share": 0.2}},
"rate_limit": {"limit": 100, "per": "1m", "max_wait": "-1s"},
"concurrency": {"limit": 5},
"breaker": {}
}`)),
		"environment": config.Environ("MAGNETAR", []string{
			"MAGNETAR_RETRY_MAX_RETRIES=-1", "MAGNETAR_RETRY_MAX_BACKOFF=5s", "MAGNETAR_RETRY_BUDGET_SHARE=0.2",
			"MAGNETAR_RATE_LIMIT_LIMIT=100", "MAGNETAR_RATE_LIMIT_PER=1m", "MAGNETAR_RATE_LIMIT_MAX_WAIT=-1s",
			"MAGNETAR_CONCURRENCY_LIMIT=5",
			"MAGNETAR_BREAKER={}",
		}),
	}
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var o outbound
			require.NoError(t, config.Load(&o, source))
			require.Equal(t, want, o)
		})
	}
}

func TestFaultsOfPolicyConfigsHaveTheirPlace(t *testing.T) {
	t.Parallel()
	var o outbound
	err := config.Load(&o, config.YAML([]byte(`
retry:
  multiplier: .nan
  budget: {share: 2}
rate_limit: {}
`)))
	require.ErrorContains(t, err, "yaml:3:15: retry.multiplier: NaN: ")
	require.ErrorContains(t, err, "yaml:4:19: retry.budget.share: 2: ")
	require.ErrorContains(t, err, "yaml:5:13: rate_limit.limit: 0: ")
	require.Zero(t, o)
}
