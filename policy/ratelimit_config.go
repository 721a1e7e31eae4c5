package policy

import "time"

// Pacing is how a rate limiter spreads its limit over the period.
type Pacing string

const (
	// PacingBursty gives the whole limit at once, anew in every period, and
	// carries nothing over. The periods follow each other from the first on, so
	// two bursts can meet at the border of two periods.
	PacingBursty Pacing = "bursty"
	// PacingSmooth divides the period into as many equal slots as the limit and
	// gives one a slot. Nothing is carried over: there is no burst.
	PacingSmooth Pacing = "smooth"
)

// RateLimiterConfig configures a [RateLimiter].
type RateLimiterConfig struct {
	// Limit is how many may pass per period; at most one per nanosecond.
	// Required.
	Limit int `json:"limit,omitempty" yaml:"limit,omitempty"`
	// Per is the period, up to a year. Default: 1s.
	Per time.Duration `json:"per,omitempty" yaml:"per,omitempty"`
	// Pacing spreads the limit over the period: "bursty" or "smooth".
	// Default: "bursty".
	Pacing Pacing `json:"pacing,omitempty" yaml:"pacing,omitempty"`
	// MaxWait bounds how long a caller waits for its turn, up to a year; the
	// deadline of its context bounds it too. Negative: never wait. Default: 30s.
	MaxWait time.Duration `json:"max_wait,omitempty" yaml:"max_wait,omitempty"`
}

// maxPeriod keeps sums of periods far from overflow.
const maxPeriod = 365 * 24 * time.Hour

// Validate reports every field that is out of range.
func (c RateLimiterConfig) Validate() error {
	var f Faults
	c = c.withDefaults()
	switch {
	case c.Limit < 1:
		f.Addf("limit", "%d: must be ≥ 1", c.Limit)
	case c.Per > 0 && int64(c.Limit) > int64(c.Per):
		f.Addf("limit", "%d: must be ≤ one per nanosecond of per (%v)", c.Limit, c.Per)
	}
	switch {
	case c.Per < 0:
		f.Addf("per", "%v: must be > 0", c.Per)
	case c.Per > maxPeriod:
		f.Addf("per", "%v: must be ≤ %v", c.Per, maxPeriod)
	}
	if c.Pacing != PacingBursty && c.Pacing != PacingSmooth {
		f.Addf("pacing", "%q: must be %q or %q", c.Pacing, PacingBursty, PacingSmooth)
	}
	if c.MaxWait > maxPeriod {
		f.Addf("max_wait", "%v: must be ≤ %v", c.MaxWait, maxPeriod)
	}
	return f.Err()
}

func (c RateLimiterConfig) withDefaults() RateLimiterConfig {
	c.Per = or(c.Per, time.Second)
	c.Pacing = or(c.Pacing, PacingBursty)
	c.MaxWait = or(c.MaxWait, 30*time.Second)
	return c
}
