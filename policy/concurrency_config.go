package policy

import (
	"math"
	"time"

	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

// ConcurrencyConfig configures a [Concurrency].
type ConcurrencyConfig struct {
	// Limit is how many tries may be in flight. Default: 0, it is found from how
	// long tries take and how many end in time.
	Limit int `json:"limit,omitempty" yaml:"limit,omitempty"`
	// MaxQueue is how many callers may wait for one of them to end; they are let
	// in by priority, and first come, first served within one. Under a limit that
	// is found the newest go first once the oldest has waited for about as long
	// as a try takes: it would hardly be in time. Default: none under a fixed
	// limit, twice as many as the limit but at least 16 under one that is found.
	MaxQueue int `json:"max_queue,omitempty" yaml:"max_queue,omitempty"`
	// MaxWait bounds how long a caller waits in the queue; its context bounds it
	// too. Negative: its context alone. Default: 1s under a fixed limit, ten
	// times as long as a try takes but at least 10ms under one that is found.
	MaxWait time.Duration `json:"max_wait,omitempty" yaml:"max_wait,omitempty"`
}

// Validate reports every field that is out of range.
func (c ConcurrencyConfig) Validate() error {
	var f Faults
	switch {
	case c.Limit < 0:
		f.Addf("limit", "%d: must be ≥ 0", c.Limit)
	case c.Limit > math.MaxInt32:
		f.Addf("limit", "%d: must be ≤ %d", c.Limit, math.MaxInt32)
	}
	f.notNegative("max_queue", c.MaxQueue)
	if c.MaxQueue > maxQueue {
		f.Addf("max_queue", "%d: must be ≤ %d", c.MaxQueue, maxQueue)
	}
	return f.Err()
}

const maxQueue = 1<<30 - 1

// algorithm is what names the limit.
func (c ConcurrencyConfig) algorithm() limit.Algorithm {
	if c.Limit == 0 {
		return limit.NewLittle()
	}
	return limit.Fixed{Limit: c.Limit, Wait: time.Second, Standing: -1}
}
