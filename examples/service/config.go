package main

import (
	"errors"
	"net"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/magnetar-go/magnetar/examples/database/postgres"
	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/policy/config"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
	"github.com/magnetar-go/magnetar/pool"
	"github.com/magnetar-go/magnetar/transport"
)

// Config is all that differs from one deployment to the next: the kit's own
// structs, composed. A part behind a pointer is off where it is null.
type Config struct {
	// Listen is where the service answers, Admin where its console does: an
	// address that only operators reach.
	Listen string `yaml:"listen"`
	Admin  string `yaml:"admin"`
	// StopWithin is all the time to stop in.
	StopWithin time.Duration `yaml:"stop_within"`

	// Shared is where all processes of the service count together what is limited;
	// without it each counts for itself.
	Shared    *Shared         `yaml:"shared"`
	Inbound   Inbound         `yaml:"inbound"`
	Upstreams Upstreams       `yaml:"upstreams"`
	Database  postgres.Config `yaml:"database"` // without a URL: a PostgreSQL that this program starts
}

// Shared is a Redis, and what is done while it is away.
type Shared struct {
	URL string `yaml:"url"` // empty: one that this program starts

	redislimit.Config `yaml:",inline"`
}

// Inbound is what requests pass on their way in.
type Inbound struct {
	Deadline  *shed.DeadlineConfig      `yaml:"deadline"`
	RateLimit *policy.RateLimiterConfig `yaml:"rate_limit"` // of each peer, in Shared
	// Shed is always on, for it is what drains when the service stops.
	Shed policy.ConcurrencyConfig `yaml:"shed"`
}

// Upstreams are the services that this one calls.
type Upstreams struct {
	Prices Upstream `yaml:"prices"`
	Stock  Upstream `yaml:"stock"`
}

// Upstream is how one of them is called.
type Upstream struct {
	URL string `yaml:"url"` // empty: a stand-in that this program starts
	// Quota is how much the upstream takes from all who count in Shared.
	Quota       *policy.RateLimiterConfig `yaml:"shared_rate_limit"`
	Calls       transport.Config          `yaml:"calls"`
	Connections pool.TransportConfig      `yaml:"connections"`
}

// loadConfig reads the file, and the environment's SERVICE_… over it. The error
// names all faults, a line each.
func loadConfig(path string) (Config, error) {
	cfg := defaults()
	err := config.Load(&cfg, config.YAMLFile(path), config.Env("SERVICE"))
	return cfg, err
}

func defaults() Config {
	// The chain of transport.Default, whose values adapt to those that are given.
	chain := transport.Config{
		Timeouts: &transport.Timeouts{}, Retry: &transport.Retry{},
		Throttle: &transport.Throttle{}, Breaker: &policy.CircuitBreakerConfig{},
	}
	upstream := Upstream{Calls: chain, Connections: pool.DefaultTransport()}
	return Config{
		Listen:     "127.0.0.1:8080",
		Admin:      "127.0.0.1:8081",
		StopWithin: 10 * time.Second,
		Inbound:    Inbound{Deadline: &shed.DeadlineConfig{}},
		Upstreams:  Upstreams{Prices: upstream, Stock: upstream},
		Database:   postgres.Default(""),
	}
}

// Validate reports every invalid field, by its path in the file.
func (c Config) Validate() error {
	var f policy.Faults
	checkAddress(&f, "listen", c.Listen)
	checkAddress(&f, "admin", c.Admin)
	if c.StopWithin <= 0 {
		f.Addf("stop_within", "%v: must be > 0", c.StopWithin)
	}
	if c.Shared != nil {
		f.Add("shared", c.Shared.Validate())
	}
	if c.Inbound.Deadline != nil {
		f.Add("inbound.deadline", c.Inbound.Deadline.Validate())
	}
	if c.Inbound.RateLimit != nil {
		f.Add("inbound.rate_limit", c.Inbound.RateLimit.Validate())
	}
	f.Add("inbound.shed", c.Inbound.Shed.Validate())
	f.Add("upstreams.prices", c.Upstreams.Prices.Validate())
	f.Add("upstreams.stock", c.Upstreams.Stock.Validate())
	f.Add("database", c.Database.Validate())
	return f.Err()
}

// Validate reports every invalid field.
func (u Upstream) Validate() error {
	var f policy.Faults
	if u.URL != "" {
		parsed, err := url.Parse(u.URL)
		if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" ||
			parsed.RawQuery != "" || parsed.Fragment != "" {
			f.Add("url", errors.New("must be such as https://prices.internal/v2")) // it may have a password, and is not repeated
		}
	}
	if u.Quota != nil {
		f.Add("shared_rate_limit", u.Quota.Validate())
	}
	f.Add("calls", u.Calls.Validate())
	f.Add("connections", u.Connections.Validate())
	return f.Err()
}

// Validate reports every invalid field. It does not repeat the URL, for there may
// be a password in it.
func (s Shared) Validate() error {
	var f policy.Faults
	if s.URL != "" && !namesRedis(s.URL) {
		f.Addf("url", "must be such as redis://user:password@host:6379/0 (what it is, is not told here)")
	}
	f.Add("", s.Config.Validate())
	return f.Err()
}

// namesRedis is stricter than go-redis, to whom "redis:6379" is localhost.
func namesRedis(text string) bool {
	if _, err := redis.ParseURL(text); err != nil {
		return false
	}
	u, err := url.Parse(text)
	return err == nil && (u.Host != "" || u.Scheme == "unix")
}

func checkAddress(f *policy.Faults, path, address string) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		f.Addf(path, "%q: must be host:port", address)
	}
}
