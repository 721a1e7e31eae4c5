package main

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/redis/go-redis/v9"

	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
	"github.com/magnetar-go/magnetar/transport"
)

func Example() {
	rdb := redis.NewClient(&redis.Options{Addr: "redis:6379", DialerRetries: 1, ContextTimeoutEnabled: true})
	defer rdb.Close()
	store, err := redislimit.NewStore(rdb, redislimit.Config{OnFailure: redislimit.Local, Replicas: 4})
	if err != nil {
		fmt.Println(err)
		return
	}

	r := chi.NewRouter() // what a client may send to all of us, in a second
	r.Use(shed.RateLimit(policy.RateLimiterConfig{Limit: 100}, shed.ByPeerIP, shed.WithName("api"), shed.WithStore(store)))

	limiter, err := redislimit.NewLimiter(store, "outbound", policy.RateLimiterConfig{Limit: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{ // what all of us may send to a host
		Transport: transport.New(nil, transport.Default(), transport.WithRateLimit(limiter.ForKey)),
	}
	defer client.CloseIdleConnections()

	fmt.Println("Redis is asked:", store.Stats().State == policy.Closed)
	// Output: Redis is asked: true
}
