package waterfall

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// kind is how a span's bar looks.
type kind uint8

const (
	other kind = iota
	call
	try
	server
	wait    // a decision that took time
	instant // one that did not
	failed  // any of those, to look at
)

// row is a span as it is drawn.
type row struct {
	name, service string
	kind          kind
	failed        bool
	resend, links int
	tells         string // beyond that
	began         time.Time
	took          time.Duration
	enters        bool   // another service than its parent's
	goesOn        []bool // the branch at each depth, below this row
}

// grow puts the spans in order: each under its parent, siblings as they began.
func grow(spans []sdktrace.ReadOnlySpan) []row {
	g := &garden{under: make(map[trace.SpanID][]sdktrace.ReadOnlySpan), seen: make(map[trace.SpanID]bool)}
	known := make(map[trace.SpanID]bool)
	for _, s := range spans {
		known[s.SpanContext().SpanID()] = true
	}
	var roots []sdktrace.ReadOnlySpan
	for _, s := range spans {
		if parent := s.Parent().SpanID(); known[parent] {
			g.under[parent] = append(g.under[parent], s)
		} else {
			roots = append(roots, s)
		}
	}
	inOrder(roots)
	for _, s := range roots {
		g.plant(s, "", nil)
	}
	rest := slices.Clone(spans)
	inOrder(rest)
	for _, s := range rest { // their own ancestors, and no others'
		g.plant(s, "", nil)
	}
	return g.rows
}

type garden struct {
	under map[trace.SpanID][]sdktrace.ReadOnlySpan
	seen  map[trace.SpanID]bool
	rows  []row
}

func (g *garden) plant(s sdktrace.ReadOnlySpan, parentService string, goesOn []bool) {
	id := s.SpanContext().SpanID()
	if g.seen[id] {
		return
	}
	g.seen[id] = true
	r := rowOf(s)
	r.enters = r.service != parentService
	r.goesOn = goesOn
	g.rows = append(g.rows, r)
	children := g.under[id]
	inOrder(children)
	for i, c := range children {
		g.plant(c, r.service, append(slices.Clone(goesOn), i < len(children)-1))
	}
}

// inOrder sorts by time. What began at the same time is told apart by its end
// and its name, so that the order is always the same.
func inOrder(spans []sdktrace.ReadOnlySpan) {
	slices.SortStableFunc(spans, func(a, b sdktrace.ReadOnlySpan) int {
		return cmp.Or(a.StartTime().Compare(b.StartTime()), a.EndTime().Compare(b.EndTime()), cmp.Compare(a.Name(), b.Name()))
	})
}

func rowOf(s sdktrace.ReadOnlySpan) row {
	attrs := attribute.NewSet(s.Attributes()...)
	r := row{
		name: s.Name(), failed: s.Status().Code == codes.Error,
		links: len(s.Links()), began: s.StartTime(), took: max(0, s.EndTime().Sub(s.StartTime())),
	}
	if v, ok := s.Resource().Set().Value(semconv.ServiceNameKey); ok {
		r.service = v.AsString()
	}
	r.resend = int(value(attrs, "http.request.resend_count").AsInt64())
	r.kind = kindOf(s, r.took)
	r.tells = tells(attrs)
	return r
}

// atOnce is what a decision takes that waits for nothing.
const atOnce = time.Microsecond

func kindOf(s sdktrace.ReadOnlySpan, took time.Duration) kind {
	switch {
	case strings.HasPrefix(s.Name(), "magnetar.") && took < atOnce:
		return instant
	case strings.HasPrefix(s.Name(), "magnetar."):
		return wait
	case s.SpanKind() == trace.SpanKindClient:
		return try
	case s.SpanKind() == trace.SpanKindServer:
		return server
	case strings.HasPrefix(s.Name(), "call "):
		return call
	}
	return other
}

// tells is what a span says beyond its name and what is framed.
func tells(attrs attribute.Set) string {
	var parts []string
	add := func(key attribute.Key, format func(attribute.Value) string) {
		if v := value(attrs, key); v.Type() != attribute.EMPTY {
			parts = append(parts, format(v))
		}
	}
	add("http.response.status_code", attribute.Value.String)
	if len(parts) == 0 {
		add("error.type", attribute.Value.String)
	}
	add("magnetar.call.attempts", func(v attribute.Value) string { return counted(v.AsInt64(), "try", "tries") })
	add("magnetar.reason", attribute.Value.String)
	add("magnetar.retry_after", func(v attribute.Value) string {
		return "retry after " + lasting(time.Duration(v.AsFloat64()*float64(time.Second)))
	})
	return strings.Join(parts, ", ")
}

func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func value(attrs attribute.Set, key attribute.Key) attribute.Value {
	v, _ := attrs.Value(key)
	return v
}

func (r row) look() kind {
	if r.failed {
		return failed
	}
	return r.kind
}

func (r row) lasts() string {
	if r.kind == instant {
		return "at once"
	}
	return lasting(r.took)
}

// String is the row for those who do not see it.
func (r row) String() string {
	parts := []string{r.name, r.lasts()}
	if r.service != "" {
		parts[0] += " (" + r.service + ")"
	}
	if r.failed {
		parts = append(parts, "error")
	}
	if r.resend > 0 {
		parts = append(parts, fmt.Sprintf("resend %d", r.resend))
	}
	if r.links > 0 {
		parts = append(parts, counted(int64(r.links), "link", "links"))
	}
	if r.tells != "" {
		parts = append(parts, r.tells)
	}
	return strings.Join(parts, ", ")
}

// describe is the whole drawing for those who do not see it.
func describe(rows []row) string {
	if len(rows) == 0 {
		return nothing
	}
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = strings.Repeat("within that, ", min(1, len(r.goesOn))) + r.String()
		if i > 0 && len(r.goesOn) <= len(rows[i-1].goesOn) {
			lines[i] = "then " + r.String()
		}
	}
	return strings.Join(lines, "; ") + "."
}
