package policy_test

import (
	"context"
	"testing"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// The floor is context.WithTimeoutCause itself.
func BenchmarkTimeout(b *testing.B) {
	op := func(context.Context) error { return nil }
	b.Run("magnetar", func(b *testing.B) {
		timeout := policy.NewTimeout(time.Minute)
		b.ReportAllocs()
		for b.Loop() {
			_ = timeout.Do(context.Background(), op)
		}
	})
	b.Run("context", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx, cancel := context.WithTimeoutCause(context.Background(), time.Minute, policy.ErrTimeout)
			_ = op(ctx)
			cancel()
		}
	})
}
