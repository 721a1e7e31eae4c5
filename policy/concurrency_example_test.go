package policy_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

func ExampleNewConcurrency() {
	limit := policy.NewConcurrency(policy.ConcurrencyConfig{
		Limit:    10,
		MaxQueue: 100,
		MaxWait:  500 * time.Millisecond,
	})
	err := limit.Do(context.Background(), func(ctx context.Context) error {
		fmt.Println(limit.Stats().InFlight, "in flight")
		return nil
	})
	fmt.Println(err)
	// Output:
	// 1 in flight
	// <nil>
}

func ExampleConcurrency_Admit() {
	ctx := context.Background()
	limit := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1}, policy.WithKey("db"))
	permit, _ := limit.Admit(ctx)

	_, err := limit.Admit(ctx)
	fmt.Println(err)
	fmt.Println(errors.Is(err, policy.ErrSaturated))

	permit.Done(ctx, policy.Success)
	_, err = limit.Admit(ctx)
	fmt.Println(err)
	// Output:
	// magnetar: refused locally by concurrency for db: saturated (limit_reached)
	// true
	// <nil>
}

func ExampleConcurrency_SetLimit() {
	limit := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1})
	fmt.Println(limit.SetLimit(20), limit.Stats().Limit)
	// Output: <nil> 20
}

// A limit of zero finds itself, and lets those wait first who matter most.
func ExampleNewConcurrency_adaptive() {
	limit := policy.NewConcurrency(policy.ConcurrencyConfig{}, policy.WithKey("search"))
	ctx := policy.ContextWithPriority(context.Background(), policy.Low)
	err := limit.Do(ctx, func(ctx context.Context) error {
		return nil // ask the index
	})
	fmt.Println(err, limit.Stats().Limit > 1)
	// Output: <nil> true
}

func ExampleConcurrency_Drain() {
	limit := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 10})
	ctx := context.Background()
	permit, _ := limit.Admit(ctx)
	go permit.Done(ctx, policy.Success)

	fmt.Println(limit.Drain(ctx))
	_, err := limit.Admit(ctx)
	fmt.Println(err)
	// Output:
	// <nil>
	// magnetar: refused locally by concurrency: closed (closed)
}
