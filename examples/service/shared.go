package main

import (
	"context"

	"github.com/redis/go-redis/v9"

	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
	"github.com/magnetar-go/magnetar/transport"
)

// shared is where all processes of the service count together what is limited. A
// nil one counts for this process alone.
type shared struct {
	client *redis.Client
	store  *redislimit.Store
}

// openShared asks Redis nothing yet: it may be down when the service starts.
func openShared(cfg *Shared, t *telemetry) (*shared, error) {
	if cfg == nil {
		return nil, nil
	}
	opts, err := redis.ParseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	opts.DialerRetries, opts.ContextTimeoutEnabled = 1, true // what go-redis waits for, callers do
	client := redis.NewClient(opts)
	store, err := redislimit.NewStore(client, cfg.Config, redislimit.WithObserver(t.all()))
	if err != nil {
		_ = client.Close() // of no use yet
		return nil, err
	}
	return &shared{client, store}, nil
}

// inbound has a quota of clients counted here.
func (s *shared) inbound() []shed.Option {
	if s == nil {
		return nil
	}
	return []shed.Option{shed.WithName("requests"), shed.WithStore(s.store)}
}

// outbound keeps the calls of an upstream to its quota.
func (s *shared) outbound(name string, cfg *policy.RateLimiterConfig, t *telemetry) ([]transport.Option, error) {
	switch {
	case cfg == nil:
		return nil, nil
	case s == nil:
		own := policy.NewRateLimiter(*cfg, policy.WithKey(name), policy.WithObserver(t.all()))
		return []transport.Option{limitedBy(own)}, nil
	}
	limiter, err := redislimit.NewLimiter(s.store, name, *cfg, redislimit.WithObserver(t.all()))
	if err != nil {
		return nil, err
	}
	return []transport.Option{limitedBy(limiter)}, nil
}

// limitedBy has all hosts of an upstream share a limit.
func limitedBy(limit policy.Gate) transport.Option {
	return transport.WithRateLimit(func(string) policy.Gate { return limit })
}

func (s *shared) close() error {
	if s == nil {
		return nil
	}
	return s.client.Close()
}

// silent is go-redis's logger: it would tell of each connection that fails, where
// the store tells of the breaker.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
