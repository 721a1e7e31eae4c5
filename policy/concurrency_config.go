package policy

import (
	"math"
	"time"
)

// ConcurrencyConfig configures a [Concurrency].
type ConcurrencyConfig struct {
	// Limit is how many tries may be in flight. Required.
	Limit int `json:"limit,omitempty" yaml:"limit,omitempty"`
	// MaxQueue is how many callers may wait for one of them to end, first come,
	// first served. Default: 0, none waits.
	MaxQueue int `json:"max_queue,omitempty" yaml:"max_queue,omitempty"`
	// MaxWait bounds how long a caller waits in the queue; its context bounds it
	// too. Negative: its context alone. Default: 1s.
	MaxWait time.Duration `json:"max_wait,omitempty" yaml:"max_wait,omitempty"`
}

// Validate reports every field that is out of range.
func (c ConcurrencyConfig) Validate() error {
	var f Faults
	switch {
	case c.Limit == 0:
		f.Addf("limit", "0: must be ≥ 1: a limit that finds itself is not available yet")
	case c.Limit < 0:
		f.Addf("limit", "%d: must be ≥ 1", c.Limit)
	case c.Limit > math.MaxInt32:
		f.Addf("limit", "%d: must be ≤ %d", c.Limit, math.MaxInt32)
	}
	f.notNegative("max_queue", c.MaxQueue)
	if c.MaxQueue > math.MaxInt32 {
		f.Addf("max_queue", "%d: must be ≤ %d", c.MaxQueue, math.MaxInt32)
	}
	return f.Err()
}

func (c ConcurrencyConfig) withDefaults() ConcurrencyConfig {
	c.MaxWait = or(c.MaxWait, time.Second)
	return c
}
