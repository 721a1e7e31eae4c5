package otel_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// logged is one line that a logbook was given.
type logged struct {
	at    time.Time
	level slog.Level
	msg   string
	span  trace.SpanContext // in the context
	attrs map[string]any
}

// logbook is a handler that keeps its lines, of Info and above unless told.
type logbook struct {
	level slog.Level
	meet  func(logged) // before it is kept, where set

	mu    sync.Mutex
	lines []logged
}

func (b *logbook) Enabled(_ context.Context, level slog.Level) bool { return level >= b.level }

func (b *logbook) Handle(ctx context.Context, r slog.Record) error {
	l := logged{time.Now(), r.Level, r.Message, trace.SpanContextFromContext(ctx), map[string]any{}}
	r.Attrs(func(a slog.Attr) bool {
		l.attrs[a.Key] = a.Value.Any()
		return true
	})
	if b.meet != nil {
		b.meet(l)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, l)
	return nil
}

func (b *logbook) WithAttrs([]slog.Attr) slog.Handler { return b }
func (b *logbook) WithGroup(string) slog.Handler      { return b }

// take returns the lines since the last take.
func (b *logbook) take() []logged {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := b.lines
	b.lines = nil
	return lines
}

// all returns the lines that were not taken.
func (b *logbook) all() []logged {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.lines)
}

// text takes the lines as text, their attributes by name.
func (b *logbook) text() string {
	var lines []string
	for _, l := range b.take() {
		words := []string{l.msg}
		for _, name := range slices.Sorted(maps.Keys(l.attrs)) {
			format := "%s=%v"
			if _, ok := l.attrs[name].(error); ok {
				format = "%s=%q"
			}
			words = append(words, fmt.Sprintf(format, name, l.attrs[name]))
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return strings.Join(lines, "\n")
}

// decisions is for how many decisions lines stand.
func decisions(lines []logged) int {
	n := 0
	for _, l := range lines {
		n += l.stands()
	}
	return n
}

func (l logged) stands() int {
	if n, ok := l.attrs["suppressed"].(int64); ok {
		return int(n)
	}
	return 1
}
