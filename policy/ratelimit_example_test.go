package policy_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

func ExamplePerSecond() {
	limiter := policy.PerSecond(100)
	err := limiter.Do(context.Background(), func(ctx context.Context) error {
		fmt.Println("my turn")
		return nil
	})
	fmt.Println(err)
	// Output:
	// my turn
	// <nil>
}

func ExamplePerMinute() {
	limiter := policy.PerMinute(2)
	fmt.Println(limiter.Allow(), limiter.Allow(), limiter.Allow())
	// Output: true true false
}

func ExampleNewRateLimiter() {
	limiter := policy.NewRateLimiter(policy.RateLimiterConfig{
		Limit:   600,
		Per:     time.Minute,
		Pacing:  policy.PacingSmooth, // one every 100ms
		MaxWait: 5 * time.Second,
	})
	_, err := limiter.Admit(context.Background())
	fmt.Println(err)
	// Output: <nil>
}

func ExampleRateLimiter_Admit() {
	limiter := policy.NewRateLimiter(
		policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: -1},
		policy.WithKey("reports"),
	)
	for range 2 {
		_, err := limiter.Admit(context.Background())
		if refusal, ok := errors.AsType[*policy.Error](err); ok {
			fmt.Println(refusal.Key, refusal.Reason, errors.Is(err, policy.ErrRateLimitExceeded))
			fmt.Println("again in", refusal.RetryAfter.Round(time.Hour))
		}
	}
	// Output:
	// reports rate_limit true
	// again in 1h0m0s
}

func ExampleRateLimiter_SetLimit() {
	limiter := policy.PerMinute(2)
	fmt.Println(limiter.Allow(), limiter.Allow(), limiter.Allow())
	fmt.Println(limiter.SetLimit(3))
	fmt.Println(limiter.Allow(), limiter.Allow())
	fmt.Println(limiter.SetLimit(0))
	// Output:
	// true true false
	// <nil>
	// true false
	// limit: 0: must be ≥ 1
}
