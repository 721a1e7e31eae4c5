package policy_test

import (
	"context"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/ratelimiter"

	"github.com/magnetar-go/magnetar/policy"
)

// One gate, Admit and Done, against the engine alone: at most twice its time,
// without an allocation.
func BenchmarkRateLimiter(b *testing.B) {
	const limit = 1e9
	for _, pacing := range []policy.Pacing{policy.PacingBursty, policy.PacingSmooth} {
		r := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: limit, Pacing: pacing, MaxWait: -1})
		engine := ratelimiter.NewBursty[any](limit, time.Second)
		if pacing == policy.PacingSmooth {
			engine = ratelimiter.NewSmooth[any](limit, time.Second)
		}
		b.Run(string(pacing), func(b *testing.B) {
			benchGateAgainst(b, r, func() bool { return engine.TryReservePermit(0) == 0 })
		})
	}
}

func BenchmarkRateLimiterRefusal(b *testing.B) {
	r := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: -1})
	r.Allow()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = r.Admit(context.Background())
	}
}

// benchGateAgainst measures gate and engine, serial and parallel.
func benchGateAgainst(b *testing.B, gate policy.Gate, engine func() bool) {
	ctx := context.Background()
	admit := func() {
		if p, err := gate.Admit(ctx); err == nil {
			p.Done(ctx, policy.Success)
		}
	}
	for _, side := range []struct {
		name string
		once func()
	}{{"magnetar", admit}, {"failsafe", func() { engine() }}} {
		b.Run(side.name+"/serial", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				side.once()
			}
		})
		b.Run(side.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					side.once()
				}
			})
		})
	}
}
