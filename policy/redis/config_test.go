package redislimit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/policy/config"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

func TestConfigReadsTheSameFromEverywhere(t *testing.T) {
	want := redislimit.Config{
		Prefix: "shop:", Timeout: 50 * time.Millisecond, OnFailure: redislimit.Local, Replicas: 4, Batch: 64,
		Breaker: &policy.CircuitBreakerConfig{FailureThreshold: 3},
	}
	for name, source := range map[string]config.Source{
		"YAML": config.YAML([]byte(`{prefix: "shop:", timeout: 50ms, on_failure: local, replicas: 4, batch: 64, breaker: {failure_threshold: 3}}`)),
		"JSON": config.JSON([]byte(`{"prefix": "shop:", "timeout": "50ms", "on_failure": "local", "replicas": 4, "batch": 64, "breaker": {"failure_threshold": 3}}`)),
		"environment": config.Environ("LIMITS", []string{
			"LIMITS_PREFIX=shop:", "LIMITS_TIMEOUT=50ms", "LIMITS_ON_FAILURE=local", "LIMITS_REPLICAS=4", "LIMITS_BATCH=64",
			"LIMITS_BREAKER_FAILURE_THRESHOLD=3",
		}),
	} {
		t.Run(name, func(t *testing.T) {
			var c redislimit.Config
			require.NoError(t, config.Load(&c, source))
			require.Equal(t, want, c)
		})
	}
}

func TestFaultsOfConfigHaveTheirPlace(t *testing.T) {
	var c redislimit.Config
	err := config.Load(&c, config.YAML([]byte("on_failure: ajar\nreplicas: -1\nbreaker: {cooldown: -1s}\n")))
	require.ErrorContains(t, err, `yaml:1:13: on_failure: "ajar": must be`)
	require.ErrorContains(t, err, "yaml:2:11: replicas: -1: must be between 1 and 100000")
	require.ErrorContains(t, err, "breaker.cooldown: ")
}

// A breaker that is configured in part is one of Redis all the same.
func TestBreakerConfiguredInPartOpensAtTheFirstFailure(t *testing.T) {
	for _, breaker := range []policy.CircuitBreakerConfig{
		{}, {Cooldown: time.Minute}, {MaxCooldown: time.Second}, {SuccessThreshold: 2}, {Trials: 3},
	} {
		f, client := newFake(t)
		f.err = answeredError("LOADING")
		s := newStore(t, client, redislimit.Config{Breaker: &breaker})
		_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
		require.Error(t, err)
		require.Equal(t, policy.Open, s.Stats().State, breaker)
	}
	f, client := newFake(t)
	f.err = answeredError("LOADING")
	s := newStore(t, client, redislimit.Config{Breaker: &policy.CircuitBreakerConfig{FailureRate: 0.5}})
	for range 10 {
		_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
		require.Error(t, err)
	}
	require.Equal(t, policy.Closed, s.Stats().State, "fewer than MinCalls")
}
