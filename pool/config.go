package pool

import (
	"cmp"
	"math"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Config configures a [Pool]. Its zero value is a pool of ten.
type Config struct {
	// MaxSize is how many connections there are at most, those that are being
	// made or closed included. Default: 10.
	MaxSize int `json:"max_size,omitempty" yaml:"max_size,omitempty"`
	// MinIdle is how many are kept unused, ready for the next who come, as far
	// as MaxSize allows. Negative: none. Default: 2, or MaxSize where that is
	// smaller.
	MinIdle int `json:"min_idle,omitempty" yaml:"min_idle,omitempty"`

	// IdleTimeout is how long a connection may be unused. It may act early, by up
	// to 1/16 of itself or 1ms, whichever is more. Those that MinIdle keeps stay.
	// Negative: without bound. Default: 5m.
	IdleTimeout time.Duration `json:"idle_timeout,omitempty" yaml:"idle_timeout,omitempty"`
	// MaxLifetime is how old a connection gets; one in use leaves when it is
	// released. Negative: without bound. Default: 30m.
	MaxLifetime time.Duration `json:"max_lifetime,omitempty" yaml:"max_lifetime,omitempty"`
	// LifetimeJitter is the share of MaxLifetime by which connections live
	// shorter, drawn once for each, so that they do not all end together.
	// Negative: none. Default: 0.1.
	LifetimeJitter float64 `json:"lifetime_jitter,omitempty" yaml:"lifetime_jitter,omitempty"`

	// AcquireTimeout is how long a caller waits for a connection. Negative: as
	// long as its context lives. Default: 30s.
	AcquireTimeout time.Duration `json:"acquire_timeout,omitempty" yaml:"acquire_timeout,omitempty"`
	// MaxWaiting is how many callers may wait for one that is in use. Those for
	// whom one is being checked or made, or could be made, wait beside them.
	// Negative: none. Default: 0, without bound.
	MaxWaiting int `json:"max_waiting,omitempty" yaml:"max_waiting,omitempty"`

	// CreateTimeout bounds the making of a connection. Default: 10s.
	CreateTimeout time.Duration `json:"create_timeout,omitempty" yaml:"create_timeout,omitempty"`
	// MaxCreating is how many are made at a time; after a failure it is one, with
	// a pause before each that grows from 100ms to 5s, or to a quarter of
	// AcquireTimeout where that is less. Default: 4.
	MaxCreating int `json:"max_creating,omitempty" yaml:"max_creating,omitempty"`
	// CheckAfter is how long a connection may be unused without being checked
	// before it is lent. It may act early, as IdleTimeout does. Less than 1ms:
	// every one is checked. Negative: none is, not even after an error of
	// [Pool.Do]. Default: 1s.
	CheckAfter time.Duration `json:"check_after,omitempty" yaml:"check_after,omitempty"`
	// CheckTimeout bounds a check. Default: 2s.
	CheckTimeout time.Duration `json:"check_timeout,omitempty" yaml:"check_timeout,omitempty"`
	// CloseTimeout is for how long a connection that is being closed counts
	// against MaxSize. Default: 5s.
	CloseTimeout time.Duration `json:"close_timeout,omitempty" yaml:"close_timeout,omitempty"`

	// LeakAfter is how long a connection may be out before that is told as a
	// leak, with the stack of who took it. It is looked for every MaintainEvery,
	// and costs each Acquire about a microsecond. Default: 0, never.
	LeakAfter time.Duration `json:"leak_after,omitempty" yaml:"leak_after,omitempty"`
	// MaintainEvery is how often, at most, the pool looks for leaks and for
	// connections past their IdleTimeout; nothing else waits for it, and a pool
	// with neither does not look at all. Default: 1s.
	MaintainEvery time.Duration `json:"maintain_every,omitempty" yaml:"maintain_every,omitempty"`
}

// Validate reports every invalid field.
func (c Config) Validate() error {
	var f policy.Faults
	if c.MaxSize < 0 || c.MaxSize > math.MaxInt32 {
		f.Addf("max_size", "%d: must be between 0 and %d", c.MaxSize, math.MaxInt32)
	}
	if d := c.withDefaults(); c.MinIdle > d.MaxSize && d.MaxSize > 0 {
		f.Addf("min_idle", "%d: must be ≤ max_size, %d", c.MinIdle, d.MaxSize)
	}
	if j := c.LifetimeJitter; math.IsNaN(j) || math.IsInf(j, 0) || j >= 1 {
		f.Addf("lifetime_jitter", "%v: must be < 1", j)
	}
	if c.MaxCreating < 0 {
		f.Addf("max_creating", "%d: must be ≥ 0", c.MaxCreating)
	}
	for _, t := range []struct {
		path string
		v    time.Duration
	}{
		{"create_timeout", c.CreateTimeout},
		{"check_timeout", c.CheckTimeout},
		{"close_timeout", c.CloseTimeout},
		{"leak_after", c.LeakAfter},
		{"maintain_every", c.MaintainEvery},
	} {
		if t.v < 0 {
			f.Addf(t.path, "%v: must be ≥ 0", t.v)
		}
	}
	return f.Err()
}

func (c Config) withDefaults() Config {
	c.MaxSize = cmp.Or(c.MaxSize, 10)
	c.MinIdle = max(0, cmp.Or(c.MinIdle, min(2, c.MaxSize)))
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 5*time.Minute)
	c.MaxLifetime = cmp.Or(c.MaxLifetime, 30*time.Minute)
	c.LifetimeJitter = max(0, cmp.Or(c.LifetimeJitter, 0.1))
	c.AcquireTimeout = cmp.Or(c.AcquireTimeout, 30*time.Second)
	c.CreateTimeout = cmp.Or(c.CreateTimeout, 10*time.Second)
	c.MaxCreating = cmp.Or(c.MaxCreating, 4)
	c.CheckAfter = cmp.Or(c.CheckAfter, time.Second)
	c.CheckTimeout = cmp.Or(c.CheckTimeout, 2*time.Second)
	c.CloseTimeout = cmp.Or(c.CloseTimeout, 5*time.Second)
	c.MaintainEvery = cmp.Or(c.MaintainEvery, time.Second)
	return c
}
