package policy_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

func ExampleRetry() {
	retry := policy.NewRetry(policy.RetryConfig{
		MaxRetries:     3,
		InitialBackoff: time.Millisecond,
		Budget:         &policy.BudgetConfig{},
	})
	tries := 0
	err := retry.Do(context.Background(), func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("connection reset")
		}
		return nil
	})
	fmt.Println(tries, err)
	// Output: 3 <nil>
}

func ExampleRetry_exhausted() {
	retry := policy.NewRetry(policy.RetryConfig{MaxRetries: 2, InitialBackoff: time.Millisecond})
	err := retry.Do(context.Background(), func(context.Context) error {
		return errors.New("connection reset")
	})
	fmt.Println(err)
	fmt.Println(errors.Is(err, policy.ErrMaxRetriesExceeded))
	// Output:
	// magnetar: gave up locally by retry: max retries exceeded (max_retries) after 3 attempts: connection reset
	// true
}

func ExamplePermanent() {
	retry := policy.NewRetry(policy.RetryConfig{})
	tries := 0
	err := retry.Do(context.Background(), func(context.Context) error {
		tries++
		return policy.Permanent(errors.New("no such table"))
	})
	fmt.Println(tries, err)
	// Output: 1 no such table
}

// A peer that says when to come back is taken at its word.
func ExampleRetry_retryAfter() {
	retry := policy.NewRetry(policy.RetryConfig{InitialBackoff: time.Millisecond})
	began, tries := time.Now(), 0
	err := retry.Do(context.Background(), func(context.Context) error {
		if tries++; tries == 1 {
			return &policy.Error{RetryAfter: 20 * time.Millisecond, Err: errors.New("slow down")}
		}
		return nil
	})
	fmt.Println(err, time.Since(began) >= 20*time.Millisecond)
	// Output: <nil> true
}

func ExampleBudget() {
	budget := policy.NewBudget(policy.BudgetConfig{Share: 0.1, PerSecond: -1, Burst: 2})
	granted := 0
	for range 101 { // calls that all fail; the first finds a full bucket
		budget.Call()
		if budget.Take() {
			granted++
		}
	}
	fmt.Println(granted)
	// Output: 12
}

func ExampleAllowRetry() {
	ctx := policy.AllowRetry(context.Background())
	fmt.Println(policy.RetryAllowed(ctx), policy.RetryAllowed(context.Background()))
	// Output: true false
}
