package redislimit

import (
	"cmp"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// OnFailure is what becomes of calls while Redis does not answer.
type OnFailure string

const (
	// Open lets them pass uncounted.
	Open OnFailure = "open"
	// Closed refuses them.
	Closed OnFailure = "closed"
	// Local counts them in each process, against its share of the limit.
	Local OnFailure = "local"
)

// Config configures a [Store].
type Config struct {
	// Prefix is what the names of the keys begin with, up to 128 bytes: services
	// with the same prefix share what they count. Default: "magnetar:".
	Prefix string `json:"prefix,omitempty" yaml:"prefix,omitempty"`
	// Timeout is how long a trip to Redis may take, after which the breaker counts a
	// failure. A call waits for twice as long at most: where many come at once, its
	// trip begins later. One whose context has a deadline waits no longer than until a
	// tenth before it, at most 10ms; then OnFailure applies as well, but the breaker
	// counts nothing before Timeout. A quota of the middleware waits no longer than
	// 250ms, so it should be less than half of that. Default: 100ms.
	Timeout time.Duration `json:"timeout,omitempty" yaml:"timeout,omitempty"`
	// OnFailure is what becomes of calls while Redis does not answer: "open",
	// "closed" or "local". Default: "open".
	OnFailure OnFailure `json:"on_failure,omitempty" yaml:"on_failure,omitempty"`
	// Replicas is how many processes share the limits, up to 100,000; while they
	// are on their own, each enforces a limit divided by it. Required by "local",
	// and of no use otherwise.
	Replicas int `json:"replicas,omitempty" yaml:"replicas,omitempty"`
	// Batch is how many calls are sent together at most, up to 10,000.
	// Default: 256.
	Batch int `json:"batch,omitempty" yaml:"batch,omitempty"`
	// Breaker decides when Redis is left alone; a trip to it is a call. Default: 1
	// failure opens, unless a rate is set; 1 success closes; 500ms cooldown, that
	// doubles up to 2s where it is not set.
	Breaker *policy.CircuitBreakerConfig `json:"breaker,omitempty" yaml:"breaker,omitempty"`
}

const (
	longestPrefix = 128
	mostReplicas  = 100_000
	mostBatch     = 10_000
)

// Validate reports every field that is out of range.
func (c Config) Validate() error {
	var f policy.Faults
	if len(c.Prefix) > longestPrefix {
		f.Addf("prefix", "%.20q…: must be ≤ %d bytes", c.Prefix, longestPrefix)
	}
	if c.Timeout < 0 {
		f.Addf("timeout", "%v: must be > 0", c.Timeout)
	}
	switch c.OnFailure {
	case "", Open, Closed, Local:
	default:
		f.Addf("on_failure", "%q: must be %q, %q or %q", c.OnFailure, Open, Closed, Local)
	}
	switch {
	case c.Replicas < 0 || c.Replicas > mostReplicas:
		f.Addf("replicas", "%d: must be between 1 and %d", c.Replicas, mostReplicas)
	case c.Replicas == 0 && c.OnFailure == Local:
		f.Addf("replicas", "0: must be set for on_failure %q", Local)
	}
	if c.Batch < 0 || c.Batch > mostBatch {
		f.Addf("batch", "%d: must be between 1 and %d", c.Batch, mostBatch)
	}
	if c.Breaker != nil {
		f.Add("breaker", breakerDefaults(*c.Breaker).Validate())
	}
	return f.Err()
}

func (c Config) withDefaults() Config {
	c.Prefix = cmp.Or(c.Prefix, "magnetar:")
	c.Timeout = cmp.Or(c.Timeout, 100*time.Millisecond)
	c.OnFailure = cmp.Or(c.OnFailure, Open)
	c.Batch = cmp.Or(c.Batch, 256)
	if c.Breaker == nil {
		c.Breaker = &policy.CircuitBreakerConfig{}
	}
	b := breakerDefaults(*c.Breaker)
	c.Breaker = &b
	return c
}

// breakerDefaults fills in what a breaker of Redis is to be, not one of calls.
func breakerDefaults(b policy.CircuitBreakerConfig) policy.CircuitBreakerConfig {
	if b.FailureRate == 0 && b.SlowRate == 0 {
		b.FailureThreshold = cmp.Or(b.FailureThreshold, 1)
	}
	b.SuccessThreshold = cmp.Or(b.SuccessThreshold, 1)
	if b.Cooldown == 0 {
		b.Cooldown, b.MaxCooldown = 500*time.Millisecond, cmp.Or(b.MaxCooldown, 2*time.Second)
	}
	return b
}
