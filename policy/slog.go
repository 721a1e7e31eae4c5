package policy

import (
	"context"
	"log/slog"
)

// NewLogObserver returns an [Observer] that logs each decision as one line,
// with its figures as attributes and those that are zero left out. A nil l is
// slog.Default().
//
// What keeps calls from their answer (refusals, timeouts, openings, holds,
// retries or a budget that ran out) is a warning; waits and the other
// transitions are information. What the kit had no say in (an admission without
// a wait, a bypass, an error not worth a retry) is for debugging.
func NewLogObserver(l *slog.Logger) Observer {
	if l == nil {
		l = slog.Default()
	}
	return logObserver{l}
}

type logObserver struct{ logger *slog.Logger }

// Enabled reports whether the logger takes any decision at all.
func (o logObserver) Enabled(ctx context.Context) bool {
	return o.logger.Enabled(ctx, slog.LevelWarn)
}

func (o logObserver) Observe(ctx context.Context, d Decision) {
	level := levelOf(d)
	if !o.logger.Enabled(ctx, level) {
		return
	}
	o.logger.LogAttrs(ctx, level, "magnetar."+d.Policy+"."+string(d.Action), attrsOf(d)...)
}

func levelOf(d Decision) slog.Level {
	level := levelOfAction(d)
	if d.Shadow {
		return min(level, slog.LevelInfo)
	}
	return level
}

func levelOfAction(d Decision) slog.Level {
	switch d.Action {
	case ActionRefuse, ActionTimeout, ActionOpen, ActionHold, ActionEject, ActionLeak:
		return slog.LevelWarn
	case ActionAcquire:
		return slog.LevelDebug
	case ActionCreate, ActionProbe, ActionRetire:
		if d.Err == nil {
			return slog.LevelDebug
		}
	case ActionGiveUp:
		switch d.Reason {
		case ReasonMaxRetries, ReasonBudget:
			return slog.LevelWarn
		case ReasonNotRetryable, ReasonCanceled:
			return slog.LevelDebug
		}
	case ActionAdmit:
		if d.Took == 0 {
			return slog.LevelDebug
		}
	case ActionBypass:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func attrsOf(d Decision) []slog.Attr {
	attrs := make([]slog.Attr, 0, 19)
	add := func(a slog.Attr) { attrs = append(attrs, a) }
	if d.Reason != "" {
		add(slog.String("reason", string(d.Reason)))
	}
	if d.Key != "" {
		add(slog.String("key", d.Key))
	}
	if d.Route != "" {
		add(slog.String("route", d.Route))
	}
	if d.Priority != Normal {
		add(slog.String("priority", d.Priority.String()))
	}
	if d.Shadow {
		add(slog.Bool("shadow", true))
	}
	if d.Endpoint != "" {
		add(slog.String("endpoint", d.Endpoint))
	}
	if d.Age != 0 {
		add(slog.Duration("age", d.Age))
	}
	if d.Reused {
		add(slog.Bool("reused", true))
	}
	if d.Note != "" {
		add(slog.String("note", d.Note))
	}
	if d.Took != 0 {
		add(slog.Duration("took", d.Took))
	}
	for _, figure := range [...]struct {
		name  string
		value int
	}{
		{"attempt", d.Attempt},
		{"limit", d.Limit},
		{"in_flight", d.InFlight},
		{"queued", d.Queued},
		{"calls", d.Calls},
		{"failures", d.Failures},
		{"slow", d.Slow},
	} {
		if figure.value != 0 {
			add(slog.Int(figure.name, figure.value))
		}
	}
	if d.RetryAfter != 0 {
		add(slog.Duration("retry_after", d.RetryAfter))
	}
	if d.Err != nil {
		add(slog.Any("error", d.Err))
	}
	return attrs
}
