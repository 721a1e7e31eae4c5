package otel_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

func TestDecisionBecomesASpanOfItsTime(t *testing.T) {
	r := record(t)
	ctx, parent := r.parent()
	began := time.Now().Add(-time.Hour)

	r.Observe(ctx, policy.Decision{
		Policy: policy.PolicyConcurrency, Action: policy.ActionRefuse, Reason: policy.ReasonQueueTimeout,
		Key: "https://api.example.com:443", Attempt: 2, Began: began, Took: 250 * time.Millisecond,
		Limit: 10, InFlight: 9, Queued: 3, Calls: 20, Failures: 8, Slow: 4,
		RetryAfter: 1500 * time.Millisecond, Err: fmt.Errorf("wrapped: %w", typedError{}),
	})

	s := r.span("magnetar.concurrency.refuse")
	require.Equal(t, trace.SpanKindInternal, s.SpanKind())
	require.Equal(t, parent.SpanContext().SpanID(), s.Parent().SpanID())
	require.True(t, s.StartTime().Equal(began))
	require.True(t, s.EndTime().Equal(began.Add(250*time.Millisecond)))
	require.Equal(t, codes.Unset, s.Status().Code, "a refusal is a policy at work")
	require.Empty(t, s.Links())
	require.Equal(t, "github.com/magnetar-go/magnetar/otel", s.InstrumentationScope().Name)
	require.Equal(t, map[string]any{
		"magnetar.policy": "concurrency", "magnetar.action": "refuse", "magnetar.reason": "queue_timeout",
		"magnetar.key": "https://api.example.com:443", "magnetar.attempt": int64(2),
		"magnetar.limit": int64(10), "magnetar.in_flight": int64(9), "magnetar.queued": int64(3),
		"magnetar.calls": int64(20), "magnetar.failures": int64(8), "magnetar.slow": int64(4),
		"magnetar.retry_after": 1.5, "error.type": "typed",
	}, attrs(s))
}

type typedError struct{}

func (typedError) Error() string     { return "typed error" }
func (typedError) ErrorType() string { return "typed" }

func TestDecisionLeavesOutWhatIsZero(t *testing.T) {
	r := record(t)
	ctx, _ := r.parent()
	r.Observe(ctx, policy.Decision{Policy: "retry", Action: policy.ActionWait, Err: context.Canceled})

	s := r.span("magnetar.retry.wait")
	require.Equal(t, map[string]any{"magnetar.policy": "retry", "magnetar.action": "wait"}, attrs(s))
}

func TestDecisionWithoutABeginningEndsNow(t *testing.T) {
	r := record(t)
	ctx, _ := r.parent()
	before := time.Now()
	r.Observe(ctx, policy.Decision{Policy: "mine", Action: "wait", Took: time.Second})

	s := r.span("magnetar.mine.wait")
	require.Equal(t, time.Second, s.EndTime().Sub(s.StartTime()))
	require.False(t, s.EndTime().Before(before))
}

// What ends as it begins, Jaeger takes for a negative duration, and warns.
func TestDecisionThatTakesNoTimeEndsAfterItBegan(t *testing.T) {
	for _, took := range []time.Duration{0, -time.Second} {
		r := record(t)
		ctx, _ := r.parent()
		r.Observe(ctx, policy.Decision{Policy: "mine", Action: "admit", Began: time.Now(), Took: took})

		s := r.span("magnetar.mine.admit")
		require.Equal(t, time.Nanosecond, s.EndTime().Sub(s.StartTime()))
	}
}

func TestDecisionIsNoSpanWithoutAParentThatRecords(t *testing.T) {
	r := record(t)
	unsampled := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2},
	}))
	ended, span := r.parent()
	span.End()
	for _, ctx := range []context.Context{context.Background(), unsampled, ended} {
		require.True(t, r.Enabled(ctx), "metrics count it")
		r.Observe(ctx, policy.Decision{Policy: "retry", Action: "wait"})
	}
	require.Equal(t, []string{"parent"}, r.names())
}

func TestConsequentialLeavesOutRoutineAdmissions(t *testing.T) {
	r := record(t, otel.WithDetail(otel.Consequential))
	ctx, _ := r.parent()
	admit := policy.Decision{Policy: policy.PolicyConcurrency, Action: policy.ActionAdmit}
	waited, trial := admit, admit
	waited.Took = time.Millisecond
	trial.Policy, trial.Reason = policy.PolicyBreaker, policy.ReasonCooldownOver
	for _, d := range []policy.Decision{admit, waited, trial, {Policy: "retry", Action: policy.ActionGiveUp}} {
		r.Observe(ctx, d)
	}
	require.Equal(t, []string{"magnetar.concurrency.admit", "magnetar.breaker.admit", "magnetar.retry.give_up"}, r.names())
	require.Equal(t, map[attribute.Distinct]int64{
		set(attribute.String("magnetar.policy", "concurrency"), attribute.String("magnetar.action", "admit")): 2,
		set(attribute.String("magnetar.policy", "breaker"), attribute.String("magnetar.action", "admit"),
			attribute.String("magnetar.reason", "cooldown_over")): 1,
		set(attribute.String("magnetar.policy", "retry"), attribute.String("magnetar.action", "give_up")): 1,
	}, r.sums("magnetar.decisions"), "metrics count them all")
}

func TestObserverUsesTheProviderOfTheParent(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	o := otel.New()
	for range 20 { // more providers than are remembered
		other := sdktrace.NewTracerProvider()
		ctx, _ := other.Tracer("test").Start(context.Background(), "other")
		require.True(t, o.Enabled(ctx))
	}
	ctx, _ := provider.Tracer("test").Start(context.Background(), "parent")
	require.True(t, o.Enabled(ctx))

	o.Observe(ctx, policy.Decision{Policy: "retry", Action: "wait"})
	_, call := o.StartCall(ctx, get(t, "http://example.com"))
	call.End(response(200), nil, 1)

	require.Len(t, spans.Ended(), 2)
}

func TestObserverIsOffWhereNothingRecords(t *testing.T) {
	dropping := sdkmetric.NewMeterProvider() // no reader
	for name, o := range map[string]*otel.Observer{
		"nil":  nil,
		"none": otel.New(),
		"noop": otel.New(otel.WithTracerProvider(tracenoop.NewTracerProvider()),
			otel.WithMeterProvider(metricnoop.NewMeterProvider())),
		"deprecated noop": otel.New(otel.WithTracerProvider(trace.SpanFromContext(context.Background()).TracerProvider())),
		"no reader":       otel.New(otel.WithMeterProvider(dropping)),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			require.False(t, o.Enabled(ctx))
			require.False(t, o.Injects())
			o.Observe(ctx, policy.Decision{Policy: "breaker", Action: policy.ActionOpen})
			require.False(t, o.Enabled(ctx))

			req := get(t, "http://example.com")
			callCtx, call := o.StartCall(ctx, req)
			require.Equal(t, ctx, callCtx)
			require.False(t, call.Recording())
			call.End(response(200), nil, 1)
			tryCtx, try := o.StartAttempt(ctx, req, 0)
			require.Equal(t, ctx, tryCtx)
			try.Headers(response(200), nil)
			try.End(nil)
			o.Inject(ctx, req.Header)
			require.Empty(t, req.Header)
		})
	}
}

func TestObserverThatWasGivenANoopProviderIgnoresTheParent(t *testing.T) {
	r := record(t)
	ctx, _ := r.parent()
	o := otel.New(otel.WithTracerProvider(tracenoop.NewTracerProvider()))
	require.False(t, o.Enabled(ctx))
	o.Observe(ctx, policy.Decision{Policy: "retry", Action: "wait"})
	require.Empty(t, r.names())
}

func TestMetricsOfDecisionsKnowNoKey(t *testing.T) {
	r := record(t)
	for i := range 3 {
		r.Observe(context.Background(), policy.Decision{
			Policy: policy.PolicyRateLimit, Action: policy.ActionWait, Key: fmt.Sprint("host", i),
			Took: 40 * time.Millisecond, Err: errors.New("x"),
		})
	}
	r.Observe(context.Background(), policy.Decision{Policy: policy.PolicyRateLimit, Action: policy.ActionResize, Limit: 7})
	r.Observe(context.Background(), policy.Decision{Policy: policy.PolicyRateLimit, Action: policy.ActionResize, Limit: 9, Key: "host1"})

	wait := []attribute.KeyValue{attribute.String("magnetar.policy", "rate_limit"), attribute.String("magnetar.action", "wait")}
	require.Equal(t, int64(3), r.sums("magnetar.decisions")[set(wait...)])
	h := r.histogram("magnetar.wait.duration")
	require.Equal(t, uint64(3), h.Count)
	require.InDelta(t, 0.12, h.Sum, 1e-9)
	require.Equal(t, set(wait...), h.Attributes.Equivalent())
	limit := r.metric("magnetar.limit").(metricdata.Gauge[int64]).DataPoints
	require.Len(t, limit, 1)
	require.Equal(t, int64(7), limit[0].Value, "a key's limit is not the policy's")
}

func TestMetricsHaveTriesInFlight(t *testing.T) {
	r := record(t)
	for n := range 3 {
		r.Observe(context.Background(), policy.Decision{Policy: "concurrency", Action: "admit", InFlight: n + 1})
	}
	points := r.metric("magnetar.in_flight").(metricdata.Histogram[int64]).DataPoints
	require.Len(t, points, 1)
	require.Equal(t, int64(6), points[0].Sum)
	require.Nil(t, r.metric("magnetar.wait.duration"), "nothing waited")
}

func TestMetricsOfUsersPoliciesAreBounded(t *testing.T) {
	r := record(t)
	ctx, _ := r.parent()
	for i := range 1500 {
		r.Observe(ctx, policy.Decision{Policy: "mine", Action: "do", Reason: policy.Reason(fmt.Sprint(i))})
	}
	sums := r.sums("magnetar.decisions")
	require.Len(t, sums, 1001)
	require.Equal(t, int64(500), sums[set(
		attribute.String("magnetar.policy", "_OTHER"), attribute.String("magnetar.action", "_OTHER"))])
	last := r.spans.Ended()[1499]
	require.Equal(t, "magnetar.mine.do", last.Name(), "spans tell it all the same")
	require.Equal(t, "1499", attrs(last)["magnetar.reason"])
}

func TestObserverIsSafeForConcurrentUse(t *testing.T) {
	r := record(t)
	ctx, _ := r.parent()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				key := fmt.Sprint("host", i%5)
				r.Observe(ctx, policy.Decision{Policy: policy.PolicyBreaker, Action: policy.ActionOpen, Key: key})
				r.Observe(ctx, policy.Decision{Policy: policy.PolicyBreaker, Action: policy.ActionRefuse, Key: key})
				req := get(t, fmt.Sprintf("http://host%d.example.com/", i))
				callCtx, call := r.StartCall(ctx, req)
				tryCtx, try := r.StartAttempt(callCtx, req, w)
				r.Inject(tryCtx, req.Header)
				try.Headers(response(200+i), nil)
				try.End(nil)
				call.End(response(200), nil, 1)
				r.Observe(ctx, policy.Decision{Policy: policy.PolicyBreaker, Action: policy.ActionClose, Key: key})
			}
		})
	}
	wg.Wait()
	var total int64
	for _, n := range r.sums("magnetar.decisions") {
		total += n
	}
	require.Equal(t, int64(8*50*3), total)
	require.Equal(t, map[attribute.Distinct]int64{set(): 0}, r.sums("magnetar.breaker.open"))
}
