package otel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// textObserver is closed when the test ends.
func textObserver(t *testing.T, buf *bytes.Buffer, level slog.Level, opts ...otel.LogOption) *otel.LogObserver {
	o := otel.NewLogObserver(textLogger(buf, level), opts...)
	t.Cleanup(o.Close)
	return o
}

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
	textObserver(t, &buf, slog.LevelDebug).Observe(spanned(t, trace.FlagsSampled), policy.Decision{
		Policy: policy.PolicyBreaker, Action: policy.ActionOpen, Reason: policy.ReasonFailureRate, Key: "db",
		Route: "/orders/{id}", Priority: policy.Bulk, Endpoint: "192.0.2.1:443", Age: time.Hour, Reused: true, Note: "by hand",
		Attempt: 2, Began: time.Now(), Took: time.Second,
		Limit: 3, InFlight: 4, Queued: 5, Calls: 6, Failures: 7, Slow: 8,
		RetryAfter: time.Minute, Err: errors.New("boom"),
	})
	require.Equal(t, "level=WARN msg=magnetar.breaker.open reason=failure_rate key=db route=/orders/{id} priority=bulk "+
		`endpoint=192.0.2.1:443 age=1h0m0s reused=true note="by hand" took=1s attempt=2 limit=3 `+
		"in_flight=4 queued=5 calls=6 failures=7 slow=8 retry_after=1m0s error=boom "+
		"trace_id=0a000000000000000000000000000000 span_id=0b00000000000000 trace_flags=01\n", buf.String())
}

func TestLogObserverWarnsOfNothingThatWasNotCarriedOut(t *testing.T) {
	var buf bytes.Buffer
	textObserver(t, &buf, slog.LevelDebug).Observe(t.Context(), policy.Decision{
		Policy: policy.PolicyShed, Action: policy.ActionRefuse, Shadow: true,
	})
	require.Equal(t, "level=INFO msg=magnetar.shed.refuse shadow=true\n", buf.String())
}

func TestLogObserverLeavesZerosOut(t *testing.T) {
	var buf bytes.Buffer
	textObserver(t, &buf, slog.LevelDebug).Observe(t.Context(), policy.Decision{
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
		{slog.LevelDebug, policy.Decision{Action: policy.ActionBypass, Shadow: true}},
		{slog.LevelWarn, policy.Decision{Action: policy.ActionGiveUp, Reason: policy.ReasonMaxRetries}},
		{slog.LevelWarn, policy.Decision{Action: policy.ActionGiveUp, Reason: policy.ReasonBudget}},
		{slog.LevelInfo, policy.Decision{Action: policy.ActionGiveUp, Reason: policy.ReasonDeadline}},
		{slog.LevelDebug, policy.Decision{Action: policy.ActionGiveUp, Reason: policy.ReasonNotRetryable}},
		{slog.LevelDebug, policy.Decision{Action: policy.ActionGiveUp, Reason: policy.ReasonCanceled}},
		{slog.LevelWarn, policy.Decision{Action: policy.ActionEject}},
		{slog.LevelInfo, policy.Decision{Action: policy.ActionReturn}},
		{slog.LevelInfo, policy.Decision{Action: policy.ActionRotate}},
		{slog.LevelWarn, policy.Decision{Action: policy.ActionLeak}},
		{slog.LevelDebug, policy.Decision{Action: policy.ActionAcquire, Took: time.Millisecond}},
		{slog.LevelDebug, policy.Decision{Action: policy.ActionCreate}},
		{slog.LevelInfo, policy.Decision{Action: policy.ActionCreate, Err: io.EOF}},
		{slog.LevelDebug, policy.Decision{Action: policy.ActionProbe}},
		{slog.LevelInfo, policy.Decision{Action: policy.ActionProbe, Err: io.EOF}},
	} {
		t.Run(string(c.d.Action)+" "+string(c.d.Reason), func(t *testing.T) {
			var buf bytes.Buffer
			textObserver(t, &buf, c.level).Observe(t.Context(), c.d)
			require.Contains(t, buf.String(), "level="+c.level.String())

			buf.Reset()
			textObserver(t, &buf, c.level+1).Observe(t.Context(), c.d)
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
		o := textObserver(t, new(bytes.Buffer), level)
		require.Equal(t, enabled, o.Enabled(t.Context()), level)
		o.Close()
		require.False(t, o.Enabled(t.Context()), "closed")
	}
}

func TestLogObserverThatIsNilDoesNothing(t *testing.T) {
	var o *otel.LogObserver
	require.False(t, o.Enabled(t.Context()))
	o.Observe(t.Context(), decision)
	o.Close()
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
	o := otel.NewLogObserver(slog.New(contextHandler{textLogger(&buf, slog.LevelDebug).Handler()}))
	defer o.Close()
	o.Observe(context.WithValue(t.Context(), requestIDKey{}, 42), refusedFor("a"))
	require.Contains(t, buf.String(), "request=42")
}

func TestLogObserverWithoutALoggerUsesTheDefaultOfWhenItWasMade(t *testing.T) {
	var then, later bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(textLogger(&then, slog.LevelDebug))
	o := otel.NewLogObserver(nil)
	defer o.Close()
	slog.SetDefault(textLogger(&later, slog.LevelDebug))
	o.Observe(t.Context(), refusedFor("a"))
	require.Contains(t, then.String(), "magnetar.shed.refuse")
	require.Empty(t, later.String())
}

func spanned(t *testing.T, flags trace.TraceFlags) context.Context {
	return trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0x0a}, SpanID: trace.SpanID{0x0b}, TraceFlags: flags,
	}))
}

func TestLogObserverNamesTheTrace(t *testing.T) {
	const ids, causes = " trace_id=0a000000000000000000000000000000 span_id=0b00000000000000 trace_flags=",
		" cause_trace_id=0a000000000000000000000000000000 cause_span_id=0b00000000000000 cause_trace_flags="
	background := otel.Background(spanned(t, trace.FlagsSampled))
	without := otel.WithoutLogTraceIDs()
	for name, c := range map[string]struct {
		ctx  context.Context
		opts []otel.LogOption
		want string
	}{
		"no span":                     {t.Context(), nil, ""},
		"sampled":                     {spanned(t, trace.FlagsSampled), nil, ids + "01"},
		"not sampled":                 {spanned(t, 0), nil, ids + "00"},
		"background":                  {background, nil, causes + "01"},
		"background, cause unsampled": {otel.Background(spanned(t, 0)), nil, causes + "00"},
		"background without a cause":  {otel.Background(t.Context()), nil, ""},
		"left to the handler":         {spanned(t, trace.FlagsSampled), []otel.LogOption{without}, ""},
		"background, left to it":      {background, []otel.LogOption{without}, causes + "01"},
	} {
		t.Run(name, func(t *testing.T) {
			var buf bytes.Buffer
			textObserver(t, &buf, slog.LevelInfo, c.opts...).Observe(c.ctx, refusedFor("a"))
			require.Equal(t, "level=WARN msg=magnetar.shed.refuse reason=limit_reached key=a"+c.want+"\n", buf.String())
		})
	}
}

func TestLogObserverNamesTheSpanOfATracer(t *testing.T) {
	for _, sampler := range []sdktrace.Sampler{sdktrace.AlwaysSample(), sdktrace.NeverSample()} {
		book := new(logbook)
		o := otel.NewLogObserver(slog.New(book))
		defer o.Close()
		ctx, span := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler)).Tracer("test").Start(t.Context(), "parent")
		o.Observe(ctx, refusedFor("a"))
		attrs := book.take()[0].attrs
		require.Equal(t, span.SpanContext().TraceID().String(), attrs["trace_id"])
		require.Equal(t, span.SpanContext().SpanID().String(), attrs["span_id"])
	}
}

func TestLogObserverBoundsHostileTexts(t *testing.T) {
	var text, object bytes.Buffer
	for name, hostile := range map[string]string{
		"lines":        strings.Repeat("\nlevel=ERROR msg=pwned", 20),
		"runes":        strings.Repeat("€", 1000),
		"shifted":      "a" + strings.Repeat("€", 1000),
		"long":         strings.Repeat("k", 1<<20),
		"not UTF-8":    strings.Repeat("\xff", 1000),
		"continuation": strings.Repeat("\x80", 1000),
		"terminal":     "\x1b[31m\x00\u2028\"",
	} {
		t.Run(name, func(t *testing.T) {
			d := refusedFor(hostile)
			d.Endpoint, d.Route, d.Note, d.Err = hostile, hostile, hostile, errors.New(hostile)
			book := new(logbook)
			for _, h := range []slog.Handler{book, slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&object, nil)} {
				o := otel.NewLogObserver(slog.New(h))
				o.Observe(t.Context(), d)
				o.Observe(t.Context(), d)
				o.Close()
			}

			lines := book.take()
			require.Len(t, lines, 2, "the line and its summary")
			for _, l := range lines {
				require.ErrorIs(t, l.attrs["error"].(error), d.Err)
				for _, value := range []string{l.attrs["key"].(string), l.attrs["endpoint"].(string), l.attrs["route"].(string),
					l.attrs["note"].(string), l.attrs["error"].(error).Error()} {
					require.LessOrEqual(t, len(value), 256)
					require.Greater(t, len(value), min(len(hostile), 256-utf8.UTFMax)-1)
					require.Equal(t, utf8.ValidString(hostile), utf8.ValidString(value), "cut in a rune")
					require.True(t, strings.HasPrefix(hostile, value))
				}
			}
			require.Equal(t, 2, strings.Count(text.String(), "\n"))
			require.NotContains(t, text.String(), "\x1b")
			for _, l := range strings.SplitAfterN(object.String(), "\n", 2) {
				require.True(t, json.Valid([]byte(l)), l)
			}
			text.Reset()
			object.Reset()
		})
	}
}
