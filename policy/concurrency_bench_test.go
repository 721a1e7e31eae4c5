package policy_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/failsafe-go/failsafe-go/bulkhead"

	"github.com/magnetar-go/magnetar/policy"
)

func BenchmarkConcurrency(b *testing.B) {
	engine := bulkhead.New[any](1000)
	benchGateAgainst(b, policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1000}), func() bool {
		ok := engine.TryAcquirePermit()
		if ok {
			engine.ReleasePermit()
		}
		return ok
	})
}

func BenchmarkConcurrencyQueue(b *testing.B) {
	c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1, MaxQueue: 1000, MaxWait: -1})
	ctx := context.Background()
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if p, err := c.Admit(ctx); err == nil {
				p.Done(ctx, policy.Success)
			}
		}
	})
}

func BenchmarkConcurrencyRefusal(b *testing.B) {
	c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1})
	ctx := context.Background()
	if _, err := c.Admit(ctx); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.Admit(ctx)
	}
}

// Where nobody may wait any more.
func BenchmarkConcurrencyAdaptiveRefusal(b *testing.B) {
	c := policy.NewConcurrency(policy.ConcurrencyConfig{MaxWait: -1, MaxQueue: 1})
	ctx, cancel := context.WithCancel(context.Background())
	for range c.Stats().Limit {
		if _, err := c.Admit(ctx); err != nil {
			b.Fatal(err)
		}
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = c.Admit(policy.ContextWithPriority(ctx, policy.Critical)) // it gives way to nobody
	}()
	for c.Stats().Queued == 0 {
		runtime.Gosched()
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.Admit(ctx)
	}
	cancel()
	<-gone
}

func BenchmarkConcurrencyAdaptiveQueue(b *testing.B) {
	c := policy.NewConcurrency(policy.ConcurrencyConfig{MaxQueue: 1000, MaxWait: -1})
	ctx := context.Background()
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if p, err := c.Admit(ctx); err == nil {
				runtime.Gosched()
				p.Done(ctx, policy.Success)
			}
		}
	})
}
