package otel_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

func refusals(keys int) []policy.Decision {
	all := make([]policy.Decision, keys)
	for i := range all {
		all[i] = policy.Decision{
			Policy: policy.PolicyBreaker, Action: policy.ActionRefuse, Reason: policy.ReasonCircuitOpen,
			Key: fmt.Sprintf("https://api-%d.example.com:443", i), RetryAfter: time.Second, Began: time.Now(),
		}
	}
	return all
}

func TestConsoleAllocatesNothingForWhatItKnows(t *testing.T) {
	c := otel.NewConsole()
	admitted, refusal := decision, refusals(1)[0]
	admitted.Began = time.Now()
	result := policy.Result{Key: refusal.Key, Ended: time.Now(), Took: time.Millisecond}
	ctx := context.Background()
	require.Zero(t, allocs(t, func() { c.Observe(ctx, admitted) }))
	require.Zero(t, allocs(t, func() { c.Observe(ctx, refusal) }))
	require.Zero(t, allocs(t, func() { c.ObserveResult(ctx, result) }))
}

func BenchmarkConsole(b *testing.B) {
	admitted := decision
	admitted.Began = time.Now()
	for name, all := range map[string][]policy.Decision{
		"admit": {admitted}, "refuse": refusals(1), "refuse 50 keys": refusals(50), "refuse 100000 keys": refusals(100_000),
	} {
		b.Run(name, func(b *testing.B) {
			c := otel.NewConsole()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.Observe(b.Context(), all[i%len(all)])
			}
		})
		b.Run(name+", parallel", func(b *testing.B) {
			c := otel.NewConsole()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					c.Observe(b.Context(), all[i%len(all)])
				}
			})
		})
	}
	b.Run("result", func(b *testing.B) {
		c := otel.NewConsole()
		b.ReportAllocs()
		for b.Loop() {
			c.ObserveResult(b.Context(), policy.Result{Key: "https://api.example.com:443", Ended: admitted.Began})
		}
	})
}
