package transport

import (
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Config says which rows the chain has. A nil part is absent; an empty part is
// on, with the values that [Default] shows. The zero Config passes everything
// through.
type Config struct {
	// Timeouts bounds the whole call, each try, and a stalled response body.
	Timeouts *Timeouts `json:"timeouts,omitempty" yaml:"timeouts,omitempty"`
	// Retry repeats what may be repeated.
	Retry *Retry `json:"retry,omitempty" yaml:"retry,omitempty"`
	// Throttle obeys the peer's Retry-After for the whole key.
	Throttle *Throttle `json:"throttle,omitempty" yaml:"throttle,omitempty"`
	// RateLimit bounds the tries per time of a key, in this process; for others
	// see [WithRateLimit]. Its Limit is required.
	RateLimit *policy.RateLimiterConfig `json:"rate_limit,omitempty" yaml:"rate_limit,omitempty"`
	// Concurrency bounds the tries of a key that are under way, to the end of
	// their response bodies. Without a Limit it finds out how many the peer has
	// room for.
	Concurrency *policy.ConcurrencyConfig `json:"concurrency,omitempty" yaml:"concurrency,omitempty"`
	// Breaker stops calling a key that fails. With a threshold or rate set, its
	// other fields default to the plain policy's values; else to those of
	// [Default].
	Breaker *policy.CircuitBreakerConfig `json:"breaker,omitempty" yaml:"breaker,omitempty"`
	// MaxKeys is how many keys have policies of their own. Those over it run
	// without breaker and throttle, and share 256 limiters and budgets.
	// Default: 10000.
	MaxKeys int `json:"max_keys,omitempty" yaml:"max_keys,omitempty"`
}

// Timeouts bounds a call. None of them cuts a request body that makes progress.
type Timeouts struct {
	// Total is the time to the response headers over all tries, unless the
	// caller's context has a deadline: then that replaces it. Negative: no
	// bound. Default: 30s.
	Total time.Duration `json:"total,omitempty" yaml:"total,omitempty"`
	// Attempt is the time of one try to its response headers. A try that cannot
	// be repeated gets all that is left of Total instead. Negative: no bound.
	// Default: 10s, or Total where that is shorter.
	Attempt time.Duration `json:"attempt,omitempty" yaml:"attempt,omitempty"`
	// BodyIdle is the time for which a Read of the response body may get no
	// byte. Negative: no bound. Default: no bound, for streams may be quiet.
	BodyIdle time.Duration `json:"body_idle,omitempty" yaml:"body_idle,omitempty"`
}

// Retry repeats a try that failed: connection errors and 425, 429, 502, 503,
// 504 for idempotent methods, for requests with an Idempotency-Key and under
// [policy.AllowRetry]; 500 for GET, HEAD and OPTIONS; any method when nothing
// was sent.
type Retry struct {
	// MaxRetries is how often a try is repeated; negative: never. Default: 2,
	// so three tries in all.
	MaxRetries int `json:"max_retries,omitempty" yaml:"max_retries,omitempty"`
	// InitialBackoff is the longest wait before the first retry; the wait is
	// drawn between zero and it. Default: 100ms, or MaxBackoff where that is
	// shorter.
	InitialBackoff time.Duration `json:"initial_backoff,omitempty" yaml:"initial_backoff,omitempty"`
	// MaxBackoff bounds the growth of that wait. Default: 5s, or InitialBackoff
	// where that is longer.
	MaxBackoff time.Duration `json:"max_backoff,omitempty" yaml:"max_backoff,omitempty"`
	// Multiplier is the growth per retry, at least 1. Default: 2.
	Multiplier float64 `json:"multiplier,omitempty" yaml:"multiplier,omitempty"`
	// MaxRetryAfter is the longest Retry-After that is waited for; the response
	// that asks for more is returned. Negative: none is waited for. Default: 30s.
	MaxRetryAfter time.Duration `json:"max_retry_after,omitempty" yaml:"max_retry_after,omitempty"`
	// Budget bounds the retries of a key by a share of its calls. Default: 10 %
	// and one a second.
	Budget *policy.BudgetConfig `json:"budget,omitempty" yaml:"budget,omitempty"`
}

// Throttle holds a key back when its peer asks for it: after a 429 with
// Retry-After, and after 20 answers in a row of 503 with Retry-After over at
// least a second. When the hold is over, calls are let go one, two, four, … at a
// time.
type Throttle struct {
	// MaxWait is how long a call waits for a hold that fits its deadline;
	// negative: never. Default: 30s.
	MaxWait time.Duration `json:"max_wait,omitempty" yaml:"max_wait,omitempty"`
	// MaxHold bounds a hold, whatever the peer asks for. Default: 5m.
	MaxHold time.Duration `json:"max_hold,omitempty" yaml:"max_hold,omitempty"`
}

// Default is the recommended chain, with every value filled in: timeouts,
// retries within a budget, throttling, and a circuit breaker that keeps letting
// a tenth of the calls through.
func Default() Config {
	c := Config{Timeouts: &Timeouts{}, Retry: &Retry{}, Throttle: &Throttle{}, Breaker: &policy.CircuitBreakerConfig{}}
	return c.withDefaults()
}

func (c Config) withDefaults() Config {
	if c.Timeouts != nil {
		t := c.Timeouts.withDefaults()
		c.Timeouts = &t
	}
	if c.Retry != nil {
		r := c.Retry.withDefaults()
		c.Retry = &r
	}
	if c.Throttle != nil {
		t := *c.Throttle
		t.MaxWait = or(t.MaxWait, 30*time.Second)
		t.MaxHold = or(t.MaxHold, 5*time.Minute)
		c.Throttle = &t
	}
	if c.Breaker != nil {
		b := breakerDefaults(*c.Breaker)
		c.Breaker = &b
	}
	c.MaxKeys = or(c.MaxKeys, 10_000)
	return c
}

func (t Timeouts) withDefaults() Timeouts {
	t.Total = or(t.Total, 30*time.Second)
	if t.Attempt == 0 {
		t.Attempt = 10 * time.Second
		if t.Total > 0 {
			t.Attempt = min(t.Attempt, t.Total)
		}
	}
	return t
}

func (r Retry) withDefaults() Retry {
	r.MaxRetries = or(r.MaxRetries, 2)
	const initial, longest = 100 * time.Millisecond, 5 * time.Second
	r.InitialBackoff = or(r.InitialBackoff, min(initial, or(r.MaxBackoff, initial)))
	r.MaxBackoff = or(r.MaxBackoff, max(longest, r.InitialBackoff))
	r.Multiplier = or(r.Multiplier, 2)
	r.MaxRetryAfter = or(r.MaxRetryAfter, 30*time.Second)
	if r.Budget == nil {
		r.Budget = &policy.BudgetConfig{}
	}
	return r
}

// breakerDefaults: an outage ends within a second, and a service that answers
// half of its calls is better called than not, hence 80 %.
func breakerDefaults(b policy.CircuitBreakerConfig) policy.CircuitBreakerConfig {
	if b.FailureThreshold != 0 || b.FailureRate != 0 || b.SlowRate != 0 {
		return b
	}
	b.FailureRate = 0.8
	b.Window = or(b.Window, 10*time.Second)
	b.MinCalls = or(b.MinCalls, 20)
	b.SuccessThreshold = or(b.SuccessThreshold, 3)
	b.Cooldown = or(b.Cooldown, time.Second)
	b.TrialTimeout = or(b.TrialTimeout, 30*time.Second)
	b.TrialShare = or(b.TrialShare, 0.1)
	b.MaxTrialRate = or(b.MaxTrialRate, 20)
	return b
}

// Validate reports every invalid field of every part, with its path.
func (c Config) Validate() error {
	var f policy.Faults
	if c.Timeouts != nil {
		f.Add("timeouts", c.Timeouts.Validate())
	}
	if c.Retry != nil {
		f.Add("retry", c.Retry.Validate())
	}
	if c.Throttle != nil {
		f.Add("throttle", c.Throttle.Validate())
	}
	if c.RateLimit != nil {
		f.Add("rate_limit", c.RateLimit.Validate())
	}
	if c.Concurrency != nil {
		f.Add("concurrency", c.Concurrency.Validate())
	}
	if c.Breaker != nil {
		f.Add("breaker", breakerDefaults(*c.Breaker).Validate())
	}
	if c.MaxKeys < 0 {
		f.Addf("max_keys", "%d: must be ≥ 0", c.MaxKeys)
	}
	return f.Err()
}

// Validate reports every invalid field.
func (t Timeouts) Validate() error {
	var f policy.Faults
	d := t.withDefaults()
	if d.Total > 0 && d.Attempt > d.Total {
		f.Addf("attempt", "%v: must be ≤ total, %v", d.Attempt, d.Total)
	}
	return f.Err()
}

// Validate reports every invalid field.
func (r Retry) Validate() error {
	var f policy.Faults
	d := r.withDefaults()
	f.Add("", d.policy().Validate())
	return f.Err()
}

func (r Retry) policy() policy.RetryConfig {
	return policy.RetryConfig{
		MaxRetries: r.MaxRetries, InitialBackoff: r.InitialBackoff, MaxBackoff: r.MaxBackoff,
		Multiplier: r.Multiplier, Budget: r.Budget,
	}
}

// Validate reports every invalid field.
func (t Throttle) Validate() error {
	var f policy.Faults
	if t.MaxHold < 0 {
		f.Addf("max_hold", "%v: must be ≥ 0", t.MaxHold)
	}
	return f.Err()
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
