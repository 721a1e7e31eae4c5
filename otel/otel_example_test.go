package otel_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// Decisions of a policy become children of the span in the context.
func ExampleNew() {
	spans := tracetest.NewSpanRecorder() // an exporter in real life
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))

	breaker := policy.NewCircuitBreaker(
		policy.CircuitBreakerConfig{FailureThreshold: 1},
		policy.WithKey("warehouse"),
		policy.WithObserver(otel.New(otel.WithTracerProvider(provider))),
	)
	ctx, span := provider.Tracer("shop").Start(context.Background(), "order")
	for range 2 {
		_ = breaker.Do(ctx, func(context.Context) error { return errors.New("out of order") })
	}
	span.End()

	for _, s := range spans.Ended() {
		fmt.Println(s.Name())
	}
	// Output:
	// magnetar.breaker.admit
	// magnetar.breaker.open
	// magnetar.breaker.refuse
	// order
}

func ExampleWithDetail() {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	observer := otel.New(otel.WithTracerProvider(provider), otel.WithDetail(otel.Consequential))

	breaker := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{}, policy.WithObserver(observer))
	ctx, span := provider.Tracer("shop").Start(context.Background(), "order")
	_ = breaker.Do(ctx, func(context.Context) error { return nil })
	span.End()

	for _, s := range spans.Ended() {
		fmt.Println(s.Name())
	}
	// Output:
	// order
}

// A span's name may hold a template, never the path.
func ExampleContextWithURLTemplate() {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	observer := otel.New(otel.WithTracerProvider(provider))

	ctx := otel.ContextWithURLTemplate(context.Background(), "/users/{id}")
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/users/42", nil)

	// The kit's transport does this for each try.
	_, attempt := observer.StartAttempt(ctx, req, 0)
	attempt.Headers(&http.Response{StatusCode: http.StatusOK}, nil)
	attempt.End(nil)

	fmt.Println(spans.Ended()[0].Name())
	// Output:
	// GET /users/{id}
}
