package pool

import (
	"cmp"
	"math"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// TransportConfig configures a [Transport]. Its zero value keeps connections
// healthy but judges no endpoint; [DefaultTransport] does both.
type TransportConfig struct {
	// MaxLifetime is how old a connection gets. It then finishes what it carries
	// and is closed. Negative: without bound. Default: 30m.
	MaxLifetime time.Duration `json:"max_lifetime,omitempty" yaml:"max_lifetime,omitempty"`
	// LifetimeJitter is the share of MaxLifetime by which connections live
	// shorter, drawn once for each, so that they do not all end together.
	// Negative: none. Default: 0.1.
	LifetimeJitter float64 `json:"lifetime_jitter,omitempty" yaml:"lifetime_jitter,omitempty"`
	// IdleTimeout is how long a connection may be unused. Where a server is seen
	// to close them earlier, they are left before it does. Negative: without
	// bound. Default: the base's, 90s with [http.DefaultTransport].
	IdleTimeout time.Duration `json:"idle_timeout,omitempty" yaml:"idle_timeout,omitempty"`
	// DrainTimeout is how long requests may still take on connections that were
	// left for new ones; then they are cut. Negative: without bound.
	// Default: 10m.
	DrainTimeout time.Duration `json:"drain_timeout,omitempty" yaml:"drain_timeout,omitempty"`
	// PingAfter is how long nothing may be heard on an HTTP/2 connection before
	// it is pinged, and PingTimeout how long an answer may take before it counts
	// as dead. Negative: never. Default: the base's, else 15s and 5s.
	PingAfter   time.Duration `json:"ping_after,omitempty" yaml:"ping_after,omitempty"`
	PingTimeout time.Duration `json:"ping_timeout,omitempty" yaml:"ping_timeout,omitempty"`

	// MaxInFlight is how many requests one endpoint gets at a time. Default: 0,
	// without bound.
	MaxInFlight int `json:"max_in_flight,omitempty" yaml:"max_in_flight,omitempty"`
	// MaxWaiting is how many more may wait for their turn there. Negative: none.
	// Default: 1000.
	MaxWaiting int `json:"max_waiting,omitempty" yaml:"max_waiting,omitempty"`
	// AcquireTimeout is how long they wait. Negative: as long as their context
	// lives. Default: 30s.
	AcquireTimeout time.Duration `json:"acquire_timeout,omitempty" yaml:"acquire_timeout,omitempty"`

	// MaxTargets is how many targets (scheme, host, port) are kept. Those beyond
	// share connections that nobody manages. Default: 10000.
	MaxTargets int `json:"max_targets,omitempty" yaml:"max_targets,omitempty"`
	// TargetIdle is how long a target is kept that nobody asks for. Default: 5m.
	TargetIdle time.Duration `json:"target_idle,omitempty" yaml:"target_idle,omitempty"`

	// Refresh is how often the addresses of a target in use are looked up.
	// Negative: once. Default: 30s.
	Refresh time.Duration `json:"refresh,omitempty" yaml:"refresh,omitempty"`
	// MinRefresh is the least time between two lookups, also when connections
	// or lookups fail. Default: 1s, or Refresh where that is shorter.
	MinRefresh time.Duration `json:"min_refresh,omitempty" yaml:"min_refresh,omitempty"`
	// ResolveTimeout bounds a lookup. Default: 5s.
	ResolveTimeout time.Duration `json:"resolve_timeout,omitempty" yaml:"resolve_timeout,omitempty"`

	// PanicThreshold is the share of healthy endpoints below which health is not
	// looked at: all get requests, for the few would drown. Negative: never.
	// Default: 0.5.
	PanicThreshold float64 `json:"panic_threshold,omitempty" yaml:"panic_threshold,omitempty"`
	// SlowStart is how long a new or returned endpoint takes to get its full
	// share of requests. Default: 0, at once.
	SlowStart time.Duration `json:"slow_start,omitempty" yaml:"slow_start,omitempty"`
	// Outlier ejects endpoints by how requests to them end. Default: nil, none.
	Outlier *OutlierConfig `json:"outlier,omitempty" yaml:"outlier,omitempty"`
	// Probe asks endpoints whether they are well. Default: nil, none is asked.
	Probe *ProbeConfig `json:"probe,omitempty" yaml:"probe,omitempty"`
}

// OutlierConfig configures the ejection of endpoints that fail. A failure is a
// connection error, a response that dies, 500, 502, 504, 503 without
// Retry-After, and a time that ran out: never the caller's own cancel.
type OutlierConfig struct {
	// Consecutive failures that eject. Negative: never. Default: 5.
	Consecutive int `json:"consecutive,omitempty" yaml:"consecutive,omitempty"`
	// Interval is how often success rates are compared. Default: 10s.
	Interval time.Duration `json:"interval,omitempty" yaml:"interval,omitempty"`
	// StdevFactor is by how many standard deviations an endpoint's success rate
	// must lie below the mean of all to eject it. Negative: never. Default: 1.9.
	StdevFactor float64 `json:"stdev_factor,omitempty" yaml:"stdev_factor,omitempty"`
	// MinEndpoints with MinRequests in an interval are needed to compare.
	// Default: 3 with 50.
	MinEndpoints int `json:"min_endpoints,omitempty" yaml:"min_endpoints,omitempty"`
	MinRequests  int `json:"min_requests,omitempty" yaml:"min_requests,omitempty"`
	// BaseEjection is the time of the first ejection. Each further one is longer
	// by as much, up to MaxEjection; each as long a time in health takes one
	// off. All are shortened by up to a tenth, so that endpoints do not return
	// together. Default: 30s and 5m, or the longer where only one is given.
	BaseEjection time.Duration `json:"base_ejection,omitempty" yaml:"base_ejection,omitempty"`
	MaxEjection  time.Duration `json:"max_ejection,omitempty" yaml:"max_ejection,omitempty"`
	// MaxEjected is the share of a target's endpoints that may be ejected,
	// rounded down. Default: 0.5.
	MaxEjected float64 `json:"max_ejected,omitempty" yaml:"max_ejected,omitempty"`
	// AllowOne allows one ejection where MaxEjected rounds down to none; never
	// of the only endpoint.
	AllowOne bool `json:"allow_one,omitempty" yaml:"allow_one,omitempty"`
}

// ProbeConfig configures active probes: GET requests for a path, sent to each
// endpoint with the target's own Host, but not through a proxy. As many endpoints
// are ejected as [OutlierConfig].MaxEjected allows, half where there is none.
type ProbeConfig struct {
	// Path to ask for, such as "/healthz". Required.
	Path string `json:"path,omitempty" yaml:"path,omitempty"`
	// Interval between two probes of an endpoint, shortened by up to a tenth.
	// Default: 10s.
	Interval time.Duration `json:"interval,omitempty" yaml:"interval,omitempty"`
	// Timeout of a probe. Default: 2s, or Interval where that is shorter.
	Timeout time.Duration `json:"timeout,omitempty" yaml:"timeout,omitempty"`
	// Unhealthy is how many in a row must fail to eject an endpoint, and Healthy
	// how many must succeed to bring it back. A probe succeeds with a status
	// below 400. Default: 3 and 2.
	Unhealthy int `json:"unhealthy,omitempty" yaml:"unhealthy,omitempty"`
	Healthy   int `json:"healthy,omitempty" yaml:"healthy,omitempty"`
}

// DefaultTransport is the recommended configuration, with every value filled in:
// endpoints that fail are ejected, and get their full share of requests only
// 10 s after they have returned. Nothing is probed, for there is no path that
// every server answers.
func DefaultTransport() TransportConfig {
	return TransportConfig{Outlier: &OutlierConfig{}, SlowStart: 10 * time.Second}.withDefaults()
}

func (c TransportConfig) withDefaults() TransportConfig {
	c.MaxLifetime = cmp.Or(c.MaxLifetime, 30*time.Minute)
	c.LifetimeJitter = cmp.Or(c.LifetimeJitter, 0.1)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 10*time.Minute)
	c.MaxWaiting = cmp.Or(c.MaxWaiting, 1000)
	c.AcquireTimeout = cmp.Or(c.AcquireTimeout, 30*time.Second)
	c.MaxTargets = cmp.Or(c.MaxTargets, 10_000)
	c.TargetIdle = cmp.Or(c.TargetIdle, 5*time.Minute)
	c.Refresh = cmp.Or(c.Refresh, 30*time.Second)
	if c.MinRefresh == 0 {
		c.MinRefresh = time.Second
		if c.Refresh > 0 {
			c.MinRefresh = min(c.MinRefresh, c.Refresh)
		}
	}
	c.ResolveTimeout = cmp.Or(c.ResolveTimeout, 5*time.Second)
	c.PanicThreshold = cmp.Or(c.PanicThreshold, 0.5)
	if c.Outlier != nil {
		o := c.Outlier.withDefaults()
		c.Outlier = &o
	}
	if c.Probe != nil {
		p := c.Probe.withDefaults()
		c.Probe = &p
	}
	return c
}

func (o OutlierConfig) withDefaults() OutlierConfig {
	o.Consecutive = cmp.Or(o.Consecutive, 5)
	o.Interval = cmp.Or(o.Interval, 10*time.Second)
	o.StdevFactor = cmp.Or(o.StdevFactor, 1.9)
	o.MinEndpoints = cmp.Or(o.MinEndpoints, 3)
	o.MinRequests = cmp.Or(o.MinRequests, 50)
	const base, longest = 30 * time.Second, 5 * time.Minute
	o.BaseEjection = cmp.Or(o.BaseEjection, min(base, cmp.Or(o.MaxEjection, base)))
	o.MaxEjection = cmp.Or(o.MaxEjection, max(longest, o.BaseEjection))
	o.MaxEjected = cmp.Or(o.MaxEjected, defaultMaxEjected)
	return o
}

func (p ProbeConfig) withDefaults() ProbeConfig {
	p.Interval = cmp.Or(p.Interval, 10*time.Second)
	p.Timeout = cmp.Or(p.Timeout, min(2*time.Second, p.Interval))
	p.Unhealthy = cmp.Or(p.Unhealthy, 3)
	p.Healthy = cmp.Or(p.Healthy, 2)
	return p
}

const defaultMaxEjected = 0.5

const maxWaiting = 1<<30 - 1 // what a queue of policy.Concurrency may hold

// Validate reports every invalid field of every part, with its path.
func (c TransportConfig) Validate() error {
	var f policy.Faults
	d := c.withDefaults()
	atMostOne(&f, "lifetime_jitter", c.LifetimeJitter)
	natural(&f, "max_in_flight", c.MaxInFlight)
	if c.MaxWaiting > maxWaiting {
		f.Addf("max_waiting", "%d: must be ≤ %d", c.MaxWaiting, maxWaiting)
	}
	natural(&f, "max_targets", c.MaxTargets)
	notNegative(&f, "target_idle", c.TargetIdle)
	notNegative(&f, "min_refresh", c.MinRefresh)
	if d.Refresh > 0 && d.MinRefresh > d.Refresh {
		f.Addf("min_refresh", "%v: must be ≤ refresh, %v", d.MinRefresh, d.Refresh)
	}
	notNegative(&f, "resolve_timeout", c.ResolveTimeout)
	atMostOne(&f, "panic_threshold", c.PanicThreshold)
	notNegative(&f, "slow_start", c.SlowStart)
	if c.Outlier != nil {
		f.Add("outlier", c.Outlier.Validate())
	}
	if c.Probe != nil {
		f.Add("probe", c.Probe.Validate())
	}
	return f.Err()
}

// Validate reports every invalid field.
func (o OutlierConfig) Validate() error {
	var f policy.Faults
	d := o.withDefaults()
	if o.Consecutive > math.MaxInt32 {
		f.Addf("consecutive", "%d: must be ≤ %d", o.Consecutive, math.MaxInt32)
	}
	notNegative(&f, "interval", o.Interval)
	finite(&f, "stdev_factor", o.StdevFactor)
	natural(&f, "min_endpoints", o.MinEndpoints)
	natural(&f, "min_requests", o.MinRequests)
	notNegative(&f, "base_ejection", o.BaseEjection)
	notNegative(&f, "max_ejection", o.MaxEjection)
	if o.BaseEjection >= 0 && o.MaxEjection >= 0 && d.BaseEjection > d.MaxEjection {
		f.Addf("base_ejection", "%v: must be ≤ max_ejection, %v", d.BaseEjection, d.MaxEjection)
	}
	if math.IsNaN(o.MaxEjected) || o.MaxEjected < 0 || o.MaxEjected > 1 {
		f.Addf("max_ejected", "%v: must be between 0 and 1", o.MaxEjected)
	}
	return f.Err()
}

// Validate reports every invalid field.
func (p ProbeConfig) Validate() error {
	var f policy.Faults
	d := p.withDefaults()
	switch {
	case p.Path == "":
		f.Addf("path", "is missing")
	case !strings.HasPrefix(p.Path, "/"):
		f.Addf("path", "%q: must begin with /", p.Path)
	default:
		if _, err := probeURL(p.Path); err != nil {
			f.Addf("path", "%q: is no path of a URL", p.Path)
		}
	}
	notNegative(&f, "interval", p.Interval)
	notNegative(&f, "timeout", p.Timeout)
	if p.Interval >= 0 && d.Timeout > d.Interval {
		f.Addf("timeout", "%v: must be ≤ interval, %v", d.Timeout, d.Interval)
	}
	natural(&f, "unhealthy", p.Unhealthy)
	natural(&f, "healthy", p.Healthy)
	return f.Err()
}

func notNegative(f *policy.Faults, path string, v time.Duration) {
	if v < 0 {
		f.Addf(path, "%v: must be ≥ 0", v)
	}
}

// natural checks a count.
func natural(f *policy.Faults, path string, v int) {
	switch {
	case v < 0:
		f.Addf(path, "%d: must be ≥ 0", v)
	case v > math.MaxInt32:
		f.Addf(path, "%d: must be ≤ %d", v, math.MaxInt32)
	}
}

// atMostOne checks a share that may be negative, for none.
func atMostOne(f *policy.Faults, path string, v float64) {
	if finite(f, path, v); v > 1 && !math.IsInf(v, 0) {
		f.Addf(path, "%v: must be ≤ 1", v)
	}
}

func finite(f *policy.Faults, path string, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		f.Addf(path, "%v: must be a finite number", v)
	}
}
