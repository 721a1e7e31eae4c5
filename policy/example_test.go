package policy_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// conn stands for a pooled connection.
type conn struct{ queries int }

func (c *conn) fetch(context.Context) (string, error) {
	if c.queries++; c.queries == 1 {
		return "", errors.New("connection reset")
	}
	return "42 rows", nil
}

// A breaker around a limiter around a pooled call, retried: the policies are
// named outermost first, so every try asks the breaker and the limiter anew.
func ExampleGet() {
	pool := make(chan *conn, 1)
	pool <- new(conn)

	retry := policy.NewRetry(policy.RetryConfig{MaxRetries: 3, InitialBackoff: time.Millisecond})
	breaker := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 5, SuccessThreshold: 2, Cooldown: time.Minute})
	limiter := policy.PerSecond(100)

	rows, err := policy.Get(context.Background(), func(ctx context.Context) (string, error) {
		c := <-pool
		defer func() { pool <- c }()
		return c.fetch(ctx)
	}, retry, breaker, limiter)
	fmt.Println(rows, err, breaker.State())
	// Output: 42 rows <nil> closed
}

func ExampleNewCircuitBreaker() {
	breaker := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 2}, policy.WithKey("orders-db"))
	query := func(context.Context) error { return errors.New("no route to host") }
	for range 3 {
		err := breaker.Do(context.Background(), query)
		fmt.Println(errors.Is(err, policy.ErrCircuitOpen), breaker.State())
	}
	// Output:
	// false closed
	// false open
	// true open
}

func ExampleWithObserver() {
	watch := policy.ObserverFunc(func(_ context.Context, d policy.Decision) {
		fmt.Println(d.Policy, d.Action, d.Reason, d.Failures)
	})
	breaker := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 1}, policy.WithObserver(watch))
	_ = breaker.Do(context.Background(), func(context.Context) error { return errors.New("down") })
	_ = breaker.Do(context.Background(), func(context.Context) error { return nil })
	// Output:
	// breaker admit  0
	// breaker open failures_in_a_row 1
	// breaker refuse circuit_open 0
}
