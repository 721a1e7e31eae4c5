package otel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

func breaker(a policy.Action, key string) policy.Decision {
	return policy.Decision{Policy: policy.PolicyBreaker, Action: a, Key: key}
}

func (r recorder) breakersOpen() int64 { return r.sums("magnetar.breaker.open")[set()] }

func TestRefusalsAreLinkedToWhatTrippedTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		b := policy.NewCircuitBreaker(
			policy.CircuitBreakerConfig{FailureThreshold: 1, SuccessThreshold: 1, Cooldown: time.Second},
			policy.WithObserver(r), policy.WithKey("db"))
		ctx, culprit := r.parent()
		failure := errors.New("down")
		require.ErrorIs(t, b.Do(ctx, func(context.Context) error { return failure }), failure)
		require.Equal(t, int64(1), r.breakersOpen())

		other, _ := r.parent()
		succeed := func(context.Context) error { return nil }
		require.ErrorIs(t, b.Do(other, succeed), policy.ErrCircuitOpen)
		time.Sleep(2 * time.Second)
		require.NoError(t, b.Do(other, succeed))
		require.Equal(t, int64(0), r.breakersOpen())

		link := []sdktrace.Link{{SpanContext: culprit.SpanContext()}}
		require.Empty(t, r.span("magnetar.breaker.open").Links())
		require.Equal(t, link, r.span("magnetar.breaker.refuse").Links())
		require.Equal(t, link, r.span("magnetar.breaker.half_open").Links())
		require.Equal(t, link, r.span("magnetar.breaker.close").Links())
		trials := 0
		for _, s := range r.spans.Ended() {
			if s.Name() == "magnetar.breaker.admit" && attrs(s)["magnetar.reason"] != nil {
				trials++
				require.Equal(t, link, s.Links())
			}
		}
		require.Equal(t, 1, trials)

		r.spans.Reset()
		r.Observe(other, breaker(policy.ActionRefuse, "db"))
		require.Empty(t, r.span("magnetar.breaker.refuse").Links(), "it has closed")
	})
}

func TestReopenedBreakerLinksToTheLatestTrip(t *testing.T) {
	r := record(t)
	first, _ := r.parent()
	second, latest := r.parent()
	r.Observe(first, breaker(policy.ActionOpen, "a"))
	r.Observe(second, breaker(policy.ActionOpen, "a"))
	require.Equal(t, int64(1), r.breakersOpen())

	r.Observe(first, breaker(policy.ActionRefuse, "a"))
	require.Equal(t, latest.SpanContext(), r.span("magnetar.breaker.refuse").Links()[0].SpanContext)
	r.Observe(first, breaker(policy.ActionClose, "a"))
	r.Observe(first, breaker(policy.ActionClose, "a"))
	require.Equal(t, int64(0), r.breakersOpen(), "closed once")
}

func TestRefusalsOfOtherKeysAndPoliciesAreNotLinked(t *testing.T) {
	r := record(t)
	ctx, _ := r.parent()
	r.Observe(ctx, breaker(policy.ActionOpen, "a"))
	r.Observe(ctx, breaker(policy.ActionRefuse, "b"))
	r.Observe(ctx, policy.Decision{Policy: policy.PolicyRateLimit, Action: policy.ActionRefuse, Key: "a"})
	require.Empty(t, r.span("magnetar.breaker.refuse").Links())
	require.Empty(t, r.span("magnetar.rate_limit.refuse").Links())
}

func TestASpanThatNobodyKeepsIsNotLinked(t *testing.T) {
	r := record(t)
	ctx, _ := r.parent()
	unsampled := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2},
	}))
	r.Observe(unsampled, breaker(policy.ActionOpen, "a"))
	r.Observe(ctx, breaker(policy.ActionRefuse, "a"))
	require.Empty(t, r.span("magnetar.breaker.refuse").Links())
	require.Equal(t, int64(1), r.breakersOpen())
}

func TestObserverWithoutMetricsSeesABreakerClose(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	o := otel.New(otel.WithTracerProvider(provider))
	ctx, _ := provider.Tracer("test").Start(context.Background(), "parent")

	o.Observe(ctx, breaker(policy.ActionOpen, "a"))
	require.True(t, o.Enabled(context.Background()), "until it closes")
	o.Observe(context.Background(), breaker(policy.ActionClose, "a"))
	require.False(t, o.Enabled(context.Background()))

	o.Observe(ctx, breaker(policy.ActionOpen, "a"))
	o.Observe(context.Background(), breaker(policy.ActionOpen, "a"))
	require.False(t, o.Enabled(context.Background()), "tripped anew by what nobody sees")
	o.Observe(ctx, breaker(policy.ActionRefuse, "a"))
	require.Empty(t, spans.Ended()[len(spans.Ended())-1].Links())
}

func TestOpenBreakersAreBounded(t *testing.T) {
	r := record(t)
	ctx, _ := r.parent()
	for i := range 10_001 {
		r.Observe(ctx, breaker(policy.ActionOpen, fmt.Sprint(i)))
	}
	require.Equal(t, int64(10_000), r.breakersOpen())

	r.spans.Reset()
	r.Observe(ctx, breaker(policy.ActionRefuse, "0"))
	require.Empty(t, r.span("magnetar.breaker.refuse").Links(), "the oldest is forgotten")
	r.spans.Reset()
	r.Observe(ctx, breaker(policy.ActionRefuse, "1"))
	require.Len(t, r.span("magnetar.breaker.refuse").Links(), 1)
}
