package benchmarks

import (
	"context"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/ratelimiter"

	"github.com/magnetar-go/magnetar/policy"
)

// One gate, Admit and Done, against failsafe-go's policy used alone.
func BenchmarkGate(b *testing.B) {
	for _, g := range []struct {
		name     string
		failsafe func()
		magnetar policy.Gate
	}{
		{
			"breaker", failsafeAsk(circuitbreaker.NewBuilder[any]().WithFailureThreshold(5).Build()),
			policy.NewCircuitBreaker(policy.CircuitBreakerConfig{}),
		},
		{
			"breaker-rate",
			failsafeAsk(circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(0.8, 20, 10*time.Second).Build()),
			policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureRate: 0.8}),
		},
		{
			"ratelimit", failsafeReserve(ratelimiter.NewBursty[any](manyPerSecond, time.Second)),
			policy.NewRateLimiter(policy.RateLimiterConfig{Limit: manyPerSecond}),
		},
		{
			"concurrency", failsafeEnter(bulkhead.New[any](100)),
			policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 100}),
		},
	} {
		b.Run(g.name+"/failsafe", func(b *testing.B) { measure(b, g.failsafe) })
		b.Run(g.name+"/magnetar", func(b *testing.B) { measure(b, pass(g.magnetar)) })
		b.Run(g.name+"-parallel/failsafe", func(b *testing.B) { measureParallel(b, g.failsafe) })
		b.Run(g.name+"-parallel/magnetar", func(b *testing.B) { measureParallel(b, pass(g.magnetar)) })
	}
}

func pass(g policy.Gate) func() {
	ctx := context.Background()
	return func() {
		if p, err := g.Admit(ctx); err == nil {
			p.Done(ctx, policy.Success)
		}
	}
}

func failsafeAsk(cb circuitbreaker.CircuitBreaker[any]) func() {
	return func() {
		if cb.TryAcquirePermit() {
			cb.RecordSuccess()
		}
	}
}

func failsafeReserve(l ratelimiter.RateLimiter[any]) func() {
	return func() { l.TryReservePermit(0) }
}

func failsafeEnter(h bulkhead.Bulkhead[any]) func() {
	return func() {
		if h.TryAcquirePermit() {
			h.ReleasePermit()
		}
	}
}
