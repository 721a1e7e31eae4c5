package otel

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// LogObserver logs decisions as lines with the ids of the span in their context,
// and a storm of them as a summary; the package comment has the lines. It is safe
// for concurrent use and calls its logger with no lock held; a nil *LogObserver
// does nothing.
type LogObserver struct {
	logger   *slog.Logger
	traceIDs traceIDs
	limit    *logLimit // nil where there is none
	closed   atomic.Bool
}

var (
	_ policy.Observer = (*LogObserver)(nil)
	_ policy.Enabler  = (*LogObserver)(nil)
)

// NewLogObserver makes an observer that logs to l; nil is what slog.Default()
// returns now. Close it when what it observes has ended.
func NewLogObserver(l *slog.Logger, opts ...LogOption) *LogObserver {
	if l == nil {
		l = slog.Default()
	}
	var cfg logOptions
	for _, opt := range opts {
		opt.applyLog(&cfg)
	}
	o := &LogObserver{logger: l, traceIDs: cfg.traceIDs}
	if cfg.interval == 0 {
		cfg.interval = logInterval
	}
	if cfg.interval > 0 {
		o.limit = newLogLimit(cfg.interval, o.summarize)
	}
	return o
}

// Enabled reports whether the logger takes any decision at all.
func (o *LogObserver) Enabled(ctx context.Context) bool {
	return o != nil && !o.closed.Load() && o.logger.Enabled(ctx, slog.LevelWarn)
}

// Observe logs d, or counts it where one of its kind was logged a short while
// ago.
func (o *LogObserver) Observe(ctx context.Context, d policy.Decision) {
	if o == nil || o.closed.Load() {
		return
	}
	level := levelOf(d)
	if !o.logger.Enabled(ctx, level) {
		return
	}
	origin := originOf(ctx)
	if o.limit != nil && level >= slog.LevelInfo && !o.limit.admit(level, d, origin) {
		return
	}
	o.log(ctx, level, d, o.traceIDs.of(origin)...)
}

// Close logs the summaries that are due later and stops their timer. From then
// on nothing more is logged, so that a file behind the logger can be closed next;
// only a line that the logger has in hand may still be on its way.
func (o *LogObserver) Close() {
	if o == nil || o.closed.Swap(true) || o.limit == nil {
		return
	}
	o.limit.close()
}

// LogOption configures a [LogObserver]. The set is closed.
type LogOption interface{ applyLog(*logOptions) }

type logOptionFunc func(*logOptions)

func (f logOptionFunc) applyLog(o *logOptions) { f(o) }

const logInterval = 10 * time.Second

// WithLogInterval is for how long one line of a kind stands for all that follow:
// they are counted and summarized when it is over. Default, also for zero: 10 s;
// negative: every decision is a line.
func WithLogInterval(d time.Duration) LogOption {
	return logOptionFunc(func(o *logOptions) { o.interval = d })
}

// WithoutLogTraceIDs leaves trace_id, span_id and trace_flags to a handler that
// takes them from the context by itself, as many do: twice the same key is not
// liked by all that read JSON. The cause_ ids stay.
func WithoutLogTraceIDs() LogOption {
	return logOptionFunc(func(o *logOptions) { o.traceIDs = causesAlone })
}

type logOptions struct {
	interval time.Duration
	traceIDs traceIDs
}

func (o *LogObserver) log(ctx context.Context, level slog.Level, d policy.Decision, more ...slog.Attr) {
	o.logger.LogAttrs(ctx, level, "magnetar."+d.Policy+"."+string(d.Action), append(lineOf(d), more...)...)
}

// summarize has nobody above it who could be told of a handler's panic.
func (o *LogObserver) summarize(s logSummary) {
	defer func() {
		if p := recover(); p != nil {
			api.Handle(fmt.Errorf("magnetar: the log handler panicked: %v", p))
		}
	}()
	more := []slog.Attr{slog.Int("suppressed", s.suppressed), slog.Duration("over", s.over)}
	o.log(s.origin.context(), s.level, s.last, append(more, o.traceIDs.of(s.origin)...)...)
}

// origin is where a decision came from.
type origin struct {
	span       trace.SpanContext
	background bool // the span is not the decision's own, but its cause's
}

func originOf(ctx context.Context) origin {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		return origin{span: span}
	}
	cause, background := causeOf(ctx)
	return origin{cause, background}
}

// context has nothing of the decision's but its origin.
func (o origin) context() context.Context {
	ctx := trace.ContextWithSpanContext(context.Background(), o.span)
	if o.background {
		return Background(ctx)
	}
	return ctx
}

// traceIDs is which ids lines have.
type traceIDs uint8

const (
	allTraceIDs traceIDs = iota
	causesAlone
)

// of names the ids as OpenTelemetry's "Trace Context in non-OTLP Log Formats"
// does.
func (t traceIDs) of(o origin) []slog.Attr {
	prefix := ""
	if o.background {
		prefix = "cause_"
	} else if t == causesAlone {
		return nil
	}
	if !o.span.IsValid() {
		return nil
	}
	return []slog.Attr{
		slog.String(prefix+"trace_id", o.span.TraceID().String()),
		slog.String(prefix+"span_id", o.span.SpanID().String()),
		slog.String(prefix+"trace_flags", o.span.TraceFlags().String()),
	}
}
