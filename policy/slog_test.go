package policy_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func textLogger(buf *bytes.Buffer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(buf, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime}))
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func TestLogObserverWritesEveryFigure(t *testing.T) {
	var buf bytes.Buffer
	policy.NewLogObserver(textLogger(&buf, slog.LevelDebug)).Observe(t.Context(), policy.Decision{
		Policy: policy.PolicyBreaker, Action: policy.ActionOpen, Reason: policy.ReasonFailureRate, Key: "db",
		Route: "/orders/{id}", Priority: policy.Bulk,
		Attempt: 2, Began: time.Now(), Took: time.Second,
		Limit: 3, InFlight: 4, Queued: 5, Calls: 6, Failures: 7, Slow: 8,
		RetryAfter: time.Minute, Err: errors.New("boom"),
	})
	require.Equal(t, "level=WARN msg=magnetar.breaker.open reason=failure_rate key=db route=/orders/{id} priority=bulk took=1s attempt=2 limit=3 "+
		"in_flight=4 queued=5 calls=6 failures=7 slow=8 retry_after=1m0s error=boom\n", buf.String())
}

func TestLogObserverWarnsOfNothingThatWasNotCarriedOut(t *testing.T) {
	var buf bytes.Buffer
	policy.NewLogObserver(textLogger(&buf, slog.LevelDebug)).Observe(t.Context(), policy.Decision{
		Policy: policy.PolicyShed, Action: policy.ActionRefuse, Shadow: true,
	})
	require.Equal(t, "level=INFO msg=magnetar.shed.refuse shadow=true\n", buf.String())
}

func TestLogObserverLeavesZerosOut(t *testing.T) {
	var buf bytes.Buffer
	policy.NewLogObserver(textLogger(&buf, slog.LevelDebug)).Observe(t.Context(), policy.Decision{
		Policy: policy.PolicyConcurrency, Action: policy.ActionAdmit,
	})
	require.Equal(t, "level=DEBUG msg=magnetar.concurrency.admit\n", buf.String())
}

func TestLogObserverLevels(t *testing.T) {
	for _, c := range []struct {
		level slog.Level
		d     policy.Decision
	}{
		{slog.LevelDebug, policy.Decision{Action: policy.ActionAdmit}},
		{slog.LevelInfo, policy.Decision{Action: policy.ActionAdmit, Took: time.Millisecond}},
		{slog.LevelInfo, policy.Decision{Action: policy.ActionWait, Took: time.Millisecond}},
		{slog.LevelWarn, policy.Decision{Action: policy.ActionRefuse}},
		{slog.LevelWarn, policy.Decision{Action: policy.ActionTimeout}},
		{slog.LevelWarn, policy.Decision{Action: policy.ActionHold}},
		{slog.LevelWarn, policy.Decision{Action: policy.ActionOpen}},
		{slog.LevelInfo, policy.Decision{Action: policy.ActionHalfOpen}},
		{slog.LevelInfo, policy.Decision{Action: policy.ActionClose}},
		{slog.LevelInfo, policy.Decision{Action: policy.ActionResize}},
		{slog.LevelDebug, policy.Decision{Action: policy.ActionBypass}},
		{slog.LevelWarn, policy.Decision{Action: policy.ActionGiveUp, Reason: policy.ReasonMaxRetries}},
		{slog.LevelWarn, policy.Decision{Action: policy.ActionGiveUp, Reason: policy.ReasonBudget}},
		{slog.LevelInfo, policy.Decision{Action: policy.ActionGiveUp, Reason: policy.ReasonDeadline}},
		{slog.LevelDebug, policy.Decision{Action: policy.ActionGiveUp, Reason: policy.ReasonNotRetryable}},
		{slog.LevelDebug, policy.Decision{Action: policy.ActionGiveUp, Reason: policy.ReasonCanceled}},
	} {
		t.Run(string(c.d.Action)+" "+string(c.d.Reason), func(t *testing.T) {
			var buf bytes.Buffer
			policy.NewLogObserver(textLogger(&buf, c.level)).Observe(t.Context(), c.d)
			require.Contains(t, buf.String(), "level="+c.level.String())

			buf.Reset()
			policy.NewLogObserver(textLogger(&buf, c.level+1)).Observe(t.Context(), c.d)
			require.Empty(t, buf.String())
		})
	}
}

func TestLogObserverIsEnabledWhileTheLoggerTakesWarnings(t *testing.T) {
	for level, enabled := range map[slog.Level]bool{
		slog.LevelDebug: true,
		slog.LevelWarn:  true,
		slog.LevelError: false,
	} {
		o := policy.NewLogObserver(textLogger(new(bytes.Buffer), level))
		e, ok := o.(policy.Enabler)
		require.True(t, ok)
		require.Equal(t, enabled, e.Enabled(t.Context()), level)
	}
}

type requestIDKey struct{}

// contextHandler writes what a handler finds in the context.
type contextHandler struct{ slog.Handler }

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.Any("request", ctx.Value(requestIDKey{})))
	return h.Handler.Handle(ctx, r)
}

func TestLogObserverPassesTheContextToTheHandler(t *testing.T) {
	var buf bytes.Buffer
	l := slog.New(contextHandler{textLogger(&buf, slog.LevelDebug).Handler()})
	ctx := context.WithValue(t.Context(), requestIDKey{}, 42)
	policy.NewLogObserver(l).Observe(ctx, policy.Decision{Policy: policy.PolicyRetry, Action: policy.ActionWait})
	require.Contains(t, buf.String(), "request=42")
}

func TestLogObserverWithoutALoggerUsesTheDefault(t *testing.T) {
	var buf bytes.Buffer
	before := slog.Default()
	slog.SetDefault(textLogger(&buf, slog.LevelDebug))
	defer slog.SetDefault(before)
	policy.NewLogObserver(nil).Observe(t.Context(), policy.Decision{Policy: policy.PolicyRetry, Action: policy.ActionWait})
	require.Contains(t, buf.String(), "magnetar.retry.wait")
}

// nowhere takes lines that are written out in full.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkLogObserver(b *testing.B) {
	d := policy.Decision{
		Policy: policy.PolicyBreaker, Action: policy.ActionRefuse, Reason: policy.ReasonCircuitOpen,
		Key: "https://api.example.com:443", RetryAfter: time.Second,
	}
	for name, h := range map[string]slog.Handler{
		"discarded": slog.DiscardHandler,
		"text":      slog.NewTextHandler(nowhere{}, nil),
	} {
		b.Run(name, func(b *testing.B) {
			o := policy.NewLogObserver(slog.New(h))
			b.ReportAllocs()
			for b.Loop() {
				o.Observe(b.Context(), d)
			}
		})
	}
}
