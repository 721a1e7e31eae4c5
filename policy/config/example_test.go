package config_test

import (
	"fmt"
	"time"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/policy/config"
)

// outbound is a program's own configuration, composed of the kit's.
type outbound struct {
	Retry       *policy.RetryConfig          `yaml:"retry"`
	RateLimit   *policy.RateLimiterConfig    `yaml:"rate_limit"`
	Concurrency *policy.ConcurrencyConfig    `yaml:"concurrency"`
	Breaker     *policy.CircuitBreakerConfig `yaml:"breaker"`
}

func (o outbound) Validate() error {
	var f policy.Faults
	if o.Retry != nil {
		f.Add("retry", o.Retry.Validate())
	}
	if o.RateLimit != nil {
		f.Add("rate_limit", o.RateLimit.Validate())
	}
	if o.Concurrency != nil {
		f.Add("concurrency", o.Concurrency.Validate())
	}
	if o.Breaker != nil {
		f.Add("breaker", o.Breaker.Validate())
	}
	return f.Err()
}

func ExampleLoad() {
	cfg := outbound{
		Retry:   &policy.RetryConfig{MaxRetries: 3, MaxBackoff: 30 * time.Second},
		Breaker: &policy.CircuitBreakerConfig{},
	}
	file := []byte(`
retry:
  max_backoff: 5s
rate_limit: {limit: 100}
breaker: null
`)
	if err := config.Load(&cfg, config.YAML(file), config.Env("MAGNETAR")); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("retries", cfg.Retry.MaxRetries, "up to", cfg.Retry.MaxBackoff)
	fmt.Println("limit", cfg.RateLimit.Limit)
	fmt.Println("breaker", cfg.Breaker != nil)
	// Output:
	// retries 3 up to 5s
	// limit 100
	// breaker false
}

func ExampleLoad_faults() {
	var cfg outbound
	file := []byte(`
retry:
  max_retry: 5
  max_backoff: 30
  multiplier: 0.5
breaker:
`)
	fmt.Println(config.Load(&cfg, config.YAML(file)))
	// Output:
	// yaml:3:3: retry.max_retry: unknown field; did you mean "max_retries"?
	// yaml:4:16: retry.max_backoff: 30: a duration needs a unit, such as "30s"
	// yaml:5:15: retry.multiplier: 0.5: must be ≥ 1
	// yaml:6:9: breaker: a key without a value: write {} to switch it on with its defaults, or null to switch it off
}

func ExampleEnviron() {
	var cfg outbound
	err := config.Load(&cfg, config.Environ("MAGNETAR", []string{
		"MAGNETAR_RETRY_MAX_BACKOFF=2s",
		"MAGNETAR_BREAKER={}",
	}))
	fmt.Println(cfg.Retry.MaxBackoff, cfg.Breaker != nil, err)
	// Output: 2s true <nil>
}

func ExampleJSON() {
	var cfg outbound
	err := config.Load(&cfg, config.JSON([]byte(`{"rate_limit": {"limit": 60, "per": "1m"}}`)))
	fmt.Println(cfg.RateLimit.Limit, cfg.RateLimit.Per, err)
	// Output: 60 1m0s <nil>
}
