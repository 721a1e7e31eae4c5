package otel

import (
	"log/slog"
	"unicode/utf8"

	"github.com/magnetar-go/magnetar/policy"
)

// levelOf warns of what keeps calls from their answer, unless that is only told.
func levelOf(d policy.Decision) slog.Level {
	level := levelOfAction(d)
	if d.Shadow {
		return min(level, slog.LevelInfo)
	}
	return level
}

func levelOfAction(d policy.Decision) slog.Level {
	switch d.Action {
	case policy.ActionRefuse, policy.ActionTimeout, policy.ActionOpen, policy.ActionHold,
		policy.ActionEject, policy.ActionLeak:
		return slog.LevelWarn
	case policy.ActionAcquire, policy.ActionBypass:
		return slog.LevelDebug
	case policy.ActionCreate, policy.ActionProbe, policy.ActionRetire:
		if d.Err == nil {
			return slog.LevelDebug
		}
	case policy.ActionGiveUp:
		switch d.Reason {
		case policy.ReasonMaxRetries, policy.ReasonBudget:
			return slog.LevelWarn
		case policy.ReasonNotRetryable, policy.ReasonCanceled:
			return slog.LevelDebug
		}
	case policy.ActionAdmit:
		if d.Took == 0 {
			return slog.LevelDebug
		}
	}
	return slog.LevelInfo
}

// lineOf has what a line says of d; what is zero is left out.
func lineOf(d policy.Decision) []slog.Attr {
	l := make(line, 0, 24)
	l.text("reason", string(d.Reason))
	l.text("key", d.Key)
	l.text("route", d.Route)
	if d.Priority != policy.Normal {
		l.add(slog.String("priority", d.Priority.String()))
	}
	if d.Shadow {
		l.add(slog.Bool("shadow", true))
	}
	l.text("endpoint", d.Endpoint)
	if d.Age != 0 {
		l.add(slog.Duration("age", d.Age))
	}
	if d.Reused {
		l.add(slog.Bool("reused", true))
	}
	l.text("note", d.Note)
	if d.Took != 0 {
		l.add(slog.Duration("took", d.Took))
	}
	l.figure("attempt", d.Attempt)
	l.figure("limit", d.Limit)
	l.figure("in_flight", d.InFlight)
	l.figure("queued", d.Queued)
	l.figure("calls", d.Calls)
	l.figure("failures", d.Failures)
	l.figure("slow", d.Slow)
	if d.RetryAfter != 0 {
		l.add(slog.Duration("retry_after", d.RetryAfter))
	}
	if d.Err != nil {
		l.add(slog.Any("error", shortError{d.Err}))
	}
	return l
}

type line []slog.Attr

func (l *line) add(a slog.Attr) { *l = append(*l, a) }

func (l *line) text(name, value string) {
	if value != "" {
		l.add(slog.String(name, short(value)))
	}
}

func (l *line) figure(name string, value int) {
	if value != 0 {
		l.add(slog.Int(name, value))
	}
}

// textMax bounds what may come from the network, in bytes.
const textMax = 256

// short cuts s between two runes. Where s holds none at all, any place will do.
func short(s string) string {
	if len(s) <= textMax {
		return s
	}
	end := textMax
	for end > textMax-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// shortError is an error with a short text, made only if a handler asks for it.
type shortError struct{ err error }

func (e shortError) Error() string { return short(e.err.Error()) }
func (e shortError) Unwrap() error { return e.err }
