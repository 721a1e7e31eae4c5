package policy

import "time"

// CircuitBreakerConfig configures a [CircuitBreaker]. The zero value opens
// after 5 failures in a row and lets one trial through after a minute.
type CircuitBreakerConfig struct {
	// FailureThreshold is how many failures in a row open the breaker.
	// Default: 5, or MinCalls when FailureRate or SlowRate is set.
	FailureThreshold int `json:"failure_threshold,omitempty" yaml:"failure_threshold,omitempty"`
	// FailureRate is the share of failures within Window that opens the
	// breaker, above 0 up to 1. Default: 0, no share does.
	FailureRate float64 `json:"failure_rate,omitempty" yaml:"failure_rate,omitempty"`
	// SlowCall is the time from which on a call counts as slow. Required by
	// SlowRate. Default: 0, none is slow.
	SlowCall time.Duration `json:"slow_call,omitempty" yaml:"slow_call,omitempty"`
	// SlowRate is the share of slow calls within Window that opens the breaker,
	// above 0 up to 1. Default: 0, no share does.
	SlowRate float64 `json:"slow_rate,omitempty" yaml:"slow_rate,omitempty"`
	// Window is the time over which both shares are taken; it slides in ten
	// steps. Default: 10s.
	Window time.Duration `json:"window,omitempty" yaml:"window,omitempty"`
	// MinCalls is how many calls the window must hold before a share counts.
	// Default: 20.
	MinCalls int `json:"min_calls,omitempty" yaml:"min_calls,omitempty"`

	// SuccessThreshold is how many trials must succeed to close the breaker.
	// Default: 2.
	SuccessThreshold int `json:"success_threshold,omitempty" yaml:"success_threshold,omitempty"`
	// Cooldown is the time from opening to the first trial. It doubles each time
	// a trial fails, unless TrialShare is set, and is shortened by up to a tenth
	// at random, so that a fleet does not try in step. Default: 60s.
	Cooldown time.Duration `json:"cooldown,omitempty" yaml:"cooldown,omitempty"`
	// MaxCooldown bounds the growth of Cooldown. Default: 10 × Cooldown.
	MaxCooldown time.Duration `json:"max_cooldown,omitempty" yaml:"max_cooldown,omitempty"`
	// Trials is how many trials may be under way at a time while half-open.
	// With TrialShare it is 1 at first and one more per success. Default: 1.
	Trials int `json:"trials,omitempty" yaml:"trials,omitempty"`
	// TrialTimeout is how long a trial holds its slot; what it reports later is
	// ignored. Default: 30s.
	TrialTimeout time.Duration `json:"trial_timeout,omitempty" yaml:"trial_timeout,omitempty"`
	// TrialShare is the share of the offered calls that an open breaker lets
	// through as trials, above 0 up to 1; they may overlap. One is let through
	// whenever the share accrues or Cooldown has passed since the last.
	// Default: 0, none before the cooldown ends.
	TrialShare float64 `json:"trial_share,omitempty" yaml:"trial_share,omitempty"`
	// MaxTrialRate bounds the trials of TrialShare, per second; negative: no
	// bound. Default: 20.
	MaxTrialRate float64 `json:"max_trial_rate,omitempty" yaml:"max_trial_rate,omitempty"`
}

// Validate reports every invalid field.
func (c CircuitBreakerConfig) Validate() error {
	var f Faults
	f.notNegative("failure_threshold", c.FailureThreshold)
	f.share("failure_rate", c.FailureRate)
	f.notNegativeTime("slow_call", c.SlowCall)
	f.share("slow_rate", c.SlowRate)
	if c.SlowRate > 0 && c.SlowCall == 0 {
		f.Addf("slow_call", "0s: must be set for slow_rate")
	}
	if c.SlowCall > 0 && c.SlowRate == 0 {
		f.Addf("slow_rate", "0: must be set for slow_call")
	}
	f.notNegativeTime("window", c.Window)
	if c.Window > 0 && c.Window < 10*time.Millisecond {
		f.Addf("window", "%v: must be ≥ 10ms", c.Window)
	}
	f.notNegative("min_calls", c.MinCalls)
	f.notNegative("success_threshold", c.SuccessThreshold)
	f.notNegativeTime("cooldown", c.Cooldown)
	f.notNegativeTime("max_cooldown", c.MaxCooldown)
	if d := c.withDefaults(); c.MaxCooldown > 0 && d.MaxCooldown < d.Cooldown {
		f.Addf("max_cooldown", "%v: must be ≥ cooldown, %v", c.MaxCooldown, d.Cooldown)
	}
	f.notNegative("trials", c.Trials)
	f.notNegativeTime("trial_timeout", c.TrialTimeout)
	f.share("trial_share", c.TrialShare)
	f.finite("max_trial_rate", c.MaxTrialRate)
	return f.Err()
}

func (c CircuitBreakerConfig) withDefaults() CircuitBreakerConfig {
	c.Window = or(c.Window, 10*time.Second)
	c.MinCalls = or(c.MinCalls, 20)
	if c.rates() {
		c.FailureThreshold = or(c.FailureThreshold, c.MinCalls)
	}
	c.FailureThreshold = or(c.FailureThreshold, 5)
	c.SuccessThreshold = or(c.SuccessThreshold, 2)
	c.Cooldown = or(c.Cooldown, time.Minute)
	c.MaxCooldown = or(c.MaxCooldown, 10*c.Cooldown)
	c.Trials = or(c.Trials, 1)
	c.TrialTimeout = or(c.TrialTimeout, 30*time.Second)
	c.MaxTrialRate = or(c.MaxTrialRate, 20)
	return c
}

func (c CircuitBreakerConfig) rates() bool { return c.FailureRate > 0 || c.SlowRate > 0 }
