package otel_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// nowhere takes lines that are written out in full.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

var open = policy.Decision{
	Policy: policy.PolicyBreaker, Action: policy.ActionRefuse, Reason: policy.ReasonCircuitOpen,
	Key: "https://api.example.com:443", RetryAfter: time.Second,
}

func traced() context.Context {
	return trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
	}))
}

func TestLogObserverAllocatesNothingForWhatItDoesNotLog(t *testing.T) {
	text := slog.NewTextHandler(nowhere{}, nil)
	for name, c := range map[string]struct {
		handler slog.Handler
		d       policy.Decision
	}{
		"suppressed":    {text, open},
		"below a level": {text, decision},
		"discarded":     {slog.DiscardHandler, open},
	} {
		o := otel.NewLogObserver(slog.New(c.handler), otel.WithLogInterval(time.Hour))
		for _, ctx := range []context.Context{context.Background(), traced(), otel.Background(traced())} {
			o.Observe(ctx, c.d)
			require.Zero(t, allocs(t, func() { o.Enabled(ctx) }), name)
			require.Zero(t, allocs(t, func() { o.Observe(ctx, c.d) }), name)
		}
		o.Close()
	}
}

func BenchmarkLogObserver(b *testing.B) {
	text := slog.NewTextHandler(nowhere{}, nil)
	for _, c := range []struct {
		name     string
		handler  slog.Handler
		interval time.Duration
	}{
		{"discarded", slog.DiscardHandler, time.Hour},
		{"text", text, -1},
		{"suppressed", text, time.Hour},
	} {
		b.Run(c.name, func(b *testing.B) {
			o, ctx := otel.NewLogObserver(slog.New(c.handler), otel.WithLogInterval(c.interval)), traced()
			defer o.Close()
			o.Observe(ctx, open)
			b.ReportAllocs()
			for b.Loop() {
				if o.Enabled(ctx) {
					o.Observe(ctx, open)
				}
			}
		})
	}
	b.Run("suppressed in parallel", func(b *testing.B) {
		o, ctx := otel.NewLogObserver(slog.New(text), otel.WithLogInterval(time.Hour)), traced()
		defer o.Close()
		o.Observe(ctx, open)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if o.Enabled(ctx) {
					o.Observe(ctx, open)
				}
			}
		})
	})
}
