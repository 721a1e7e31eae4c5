package policy

import "time"

// RetryConfig configures a [Retry]. The zero value repeats a failed try up to 3
// times.
type RetryConfig struct {
	// MaxRetries is how many tries may follow the first; negative: none.
	// Default: 3.
	MaxRetries int `json:"max_retries,omitempty" yaml:"max_retries,omitempty"`
	// InitialBackoff is what the longest wait grows from, see [Retry.Backoff].
	// Default: 100ms, or MaxBackoff where that is shorter.
	InitialBackoff time.Duration `json:"initial_backoff,omitempty" yaml:"initial_backoff,omitempty"`
	// MaxBackoff bounds the growth; a longer RetryAfter is waited all the same.
	// Default: 30s, or InitialBackoff where that is longer.
	MaxBackoff time.Duration `json:"max_backoff,omitempty" yaml:"max_backoff,omitempty"`
	// Multiplier is the growth per retry, at least 1. Default: 2.
	Multiplier float64 `json:"multiplier,omitempty" yaml:"multiplier,omitempty"`
	// Budget bounds the retries of all calls together. Default: nil, no bound.
	Budget *BudgetConfig `json:"budget,omitempty" yaml:"budget,omitempty"`
}

// Validate reports every invalid field.
func (c RetryConfig) Validate() error {
	var f Faults
	f.notNegativeTime("initial_backoff", c.InitialBackoff)
	f.notNegativeTime("max_backoff", c.MaxBackoff)
	if c.MaxBackoff > 0 && c.MaxBackoff < c.InitialBackoff {
		f.Addf("max_backoff", "%v: must be ≥ initial_backoff, %v", c.MaxBackoff, c.InitialBackoff)
	}
	f.atLeast("multiplier", c.Multiplier, 1)
	if c.Budget != nil {
		f.Add("budget", c.Budget.Validate())
	}
	return f.Err()
}

func (c RetryConfig) withDefaults() RetryConfig {
	const initial, longest = 100 * time.Millisecond, 30 * time.Second
	c.MaxRetries = or(c.MaxRetries, 3)
	c.InitialBackoff = or(c.InitialBackoff, min(initial, or(c.MaxBackoff, initial)))
	c.MaxBackoff = or(c.MaxBackoff, max(longest, c.InitialBackoff))
	c.Multiplier = or(c.Multiplier, 2)
	return c
}
