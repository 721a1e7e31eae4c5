package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// branch is a line of the tree.
type branch struct {
	label string
	span  sdktrace.ReadOnlySpan
}

// draw shows the spans of a trace as a tree: when each began, counted from the
// root, how long it lasted, and what it tells.
func draw(title string, s spans) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", title)
	i := slices.IndexFunc(s, isRoot)
	if i < 0 {
		b.WriteString("  (none was recorded; is OTEL_TRACES_SAMPLER set?)\n")
		return b.String()
	}
	root := s[i]
	tree := s.grow(root, "  ", "  ")
	width := 0
	for _, line := range tree {
		width = max(width, utf8.RuneCountInString(line.label))
	}
	fmt.Fprintf(&b, "%-*s %11s %11s\n", width, "", "begins", "lasts")
	for _, line := range tree {
		text := fmt.Sprintf("%-*s %11s %11s  %s", width, line.label,
			"+"+demo.Milliseconds(line.span.StartTime().Sub(root.StartTime())),
			demo.Milliseconds(line.span.EndTime().Sub(line.span.StartTime())), note(line.span))
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	return b.String()
}

// grow lists a span and what is under it; first is what stands before the
// span's own name, and rest before those of its children.
func (s spans) grow(top sdktrace.ReadOnlySpan, first, rest string) []branch {
	tree := []branch{{first + top.Name(), top}}
	children := s.children(top.SpanContext().SpanID())
	for i, c := range children {
		if i == len(children)-1 {
			tree = append(tree, s.grow(c, rest+"└─ ", rest+"   ")...)
		} else {
			tree = append(tree, s.grow(c, rest+"├─ ", rest+"│  ")...)
		}
	}
	return tree
}

func (s spans) children(of trace.SpanID) spans {
	var found spans
	for _, c := range s {
		if c.Parent().SpanID() == of {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b sdktrace.ReadOnlySpan) int {
		return cmp.Or(a.StartTime().Compare(b.StartTime()), a.EndTime().Compare(b.EndTime()))
	})
	return found
}

// note tells what a span says beyond its name.
func note(s sdktrace.ReadOnlySpan) string {
	var parts []string
	add := func(key attribute.Key, format func(attribute.Value) string) {
		if v := attributeOf(s, key); v.Type() != attribute.EMPTY {
			parts = append(parts, format(v))
		}
	}
	add("http.response.status_code", attribute.Value.String)
	if len(parts) == 0 {
		add("error.type", attribute.Value.String)
	}
	add("http.request.resend_count", func(v attribute.Value) string { return "resend " + v.String() })
	add("magnetar.call.attempts", func(v attribute.Value) string { return v.String() + " tries" })
	add("magnetar.reason", attribute.Value.String)
	add("magnetar.retry_after", func(v attribute.Value) string {
		return "retry after " + demo.Milliseconds(time.Duration(v.AsFloat64()*float64(time.Second)))
	})
	if len(s.Links()) > 0 {
		parts = append(parts, "→ the try that opened the breaker")
	}
	return strings.Join(parts, ", ")
}
