package compare

import (
	"context"
	"testing"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"

	"github.com/magnetar-go/magnetar/policy"
)

// A limit that finds itself, one admission and its end, next to failsafe-go's.
func BenchmarkAdaptive(b *testing.B) {
	ctx := context.Background()
	gate := policy.NewConcurrency(policy.ConcurrencyConfig{})
	peer := adaptivelimiter.NewWithDefaults[any]()
	for _, side := range []struct {
		name string
		once func()
	}{
		{"magnetar", func() {
			if permit, err := gate.Admit(ctx); err == nil {
				permit.Done(ctx, policy.Success)
			}
		}},
		{"failsafe", func() {
			if permit, ok := peer.TryAcquirePermit(); ok {
				permit.Record()
			}
		}},
	} {
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
