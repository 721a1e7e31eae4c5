package redislimit_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// The same limit for each process, through a Redis that they share; each counts
// its share while that is away. The store is for middleware.WithStore, and for
// [redislimit.NewLimiter].
func ExampleNewStore() {
	client := redis.NewClient(&redis.Options{
		Addr: "redis:6379", DialerRetries: 1, ContextTimeoutEnabled: true,
	})
	defer client.Close()
	store, err := redislimit.NewStore(client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(store.Stats().State)
	// Output: closed
}

// What the whole fleet may send to a peer: policy.Do takes the limiter, and so does
// transport.WithGate.
func ExampleNewLimiter() {
	client := redis.NewClient(&redis.Options{Addr: "redis:6379"})
	defer client.Close()
	store, err := redislimit.NewStore(client, redislimit.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = redislimit.NewLimiter(store, "payments", policy.RateLimiterConfig{Limit: -1})
	fmt.Println(err)
	// Output: limit: -1: must be ≥ 1
}

// A limit for each host that is called, and for each tenant of one's own, rather than
// for all together.
func ExampleLimiter_ForKey() {
	client := redis.NewClient(&redis.Options{Addr: "redis:6379", DialerRetries: 1})
	defer client.Close()
	store, err := redislimit.NewStore(client, redislimit.Config{OnFailure: redislimit.Closed})
	if err != nil {
		fmt.Println(err)
		return
	}
	limiter, err := redislimit.NewLimiter(store, "outbound", policy.RateLimiterConfig{Limit: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	// &http.Client{Transport: transport.New(nil, transport.Default(), transport.WithRateLimit(limiter.ForKey))}
	charge := func(tenant string, units int) error {
		ctx := redislimit.ContextWithWeight(context.Background(), units)
		return policy.Do(ctx, func(context.Context) error { return nil }, policy.Guard(limiter.ForKey(tenant)))
	}
	fmt.Println(charge("alice", 0))
	fmt.Println(errors.Is(charge("alice", 10_000), policy.ErrRateLimitExceeded))
	// Output:
	// <nil>
	// true
}
