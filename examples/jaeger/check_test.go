//go:build linux

package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// before which service stands which.
var callerOf = map[string]string{shop: customer, orders: shop, stock: orders}

// checkAll checks what is true of every story.
func checkAll(t *testing.T, sc scene) {
	t.Helper()
	for _, s := range sc.spans {
		require.Equal(t, sc.trace.String(), s.trace)
		require.Emptyf(t, s.warnings, "%v", s)
	}
	checkTree(t, sc)
	checkErrors(t, sc.spans)
	checkResends(t, sc.spans)
	checkDecisions(t, sc)
	checkVisits(t, sc)
}

// checkTree: the trace is one tree, through all services.
func checkTree(t *testing.T, sc scene) {
	t.Helper()
	byID := sc.spans.byID()
	require.Len(t, byID, len(sc.spans), "no two have the same ID")
	roots := sc.spans.where(func(s span) bool { return s.parent == "" })
	require.Len(t, roots, 1)
	require.Equal(t, customer, roots[0].service)
	require.Equal(t, sc.story, roots[0].name)

	seen := make(map[string]int)
	for _, s := range sc.spans {
		if s.parent == "" {
			continue
		}
		parent, ok := byID[s.parent]
		require.Truef(t, ok, "the parent of %v", s)
		if s.name != "magnetar.pool.create" { // a dial goes on when its try has found another connection
			within(t, s, parent, sc.exact)
		}
		switch {
		case s.is("server"):
			seen[s.service]++
			require.Equal(t, callerOf[s.service], parent.service)
			require.Equal(t, "client", parent.kind)
			require.Contains(t, s.name, "GET /", "its name is the route")
		case s.is("client"):
			require.Equal(t, "call GET", parent.name)
			require.Equal(t, s.service, parent.service)
		default:
			require.Equal(t, s.service, parent.service)
		}
	}
	for service := range callerOf {
		require.Positive(t, seen[service], "%s has served", service)
	}
}

// checkErrors: a span has an error where its caller saw one, and decisions
// never have.
func checkErrors(t *testing.T, all spans) {
	t.Helper()
	for _, s := range all {
		_, typed := s.attributes["error.type"]
		switch {
		case s.is("server"):
			require.Equalf(t, s.status() >= 500, s.failed, "%v", s)
		case s.name == "call GET", s.is("client"):
			require.Equalf(t, s.status() >= 400 || s.status() == 0, s.failed, "%v", s)
			require.Equalf(t, typed, s.failed, "%v", s)
		default:
			require.Falsef(t, s.failed, "%v", s)
		}
	}
}

// checkResends: tries are counted from the second on.
func checkResends(t *testing.T, all spans) {
	t.Helper()
	for _, call := range all.where(func(s span) bool { return s.name == "call GET" }) {
		tries := all.under(call).where(func(s span) bool { return s.is("client") })
		require.Equal(t, len(tries), call.number("magnetar.call.attempts"))
		for i, try := range tries {
			_, counted := try.attributes["http.request.resend_count"]
			require.Equal(t, i > 0, counted, "try %d", i+1)
			require.Equal(t, i, try.number("http.request.resend_count"))
		}
	}
}

// checkDecisions: what the policies told somebody else is here, once each, with
// its reason, its time and its place.
func checkDecisions(t *testing.T, sc scene) {
	t.Helper()
	const layout = "%s: magnetar.%s.%s, reason %q, try %d, under %s"
	want, got := make(map[string][]time.Duration), make(map[string][]time.Duration)
	for _, d := range sc.town.journal.told() {
		if d.parent.TraceID() == sc.trace {
			k := fmt.Sprintf(layout, d.service, d.Policy, d.Action, d.Reason, d.Attempt, d.parent.SpanID())
			want[k] = append(want[k], d.Took)
		}
	}
	for _, s := range sc.spans.where(span.decision) {
		k := fmt.Sprintf("%s: %s, reason %q, try %d, under %s", s.service, s.name, s.reason(), s.number("magnetar.attempt"), s.parent)
		got[k] = append(got[k], s.took)
	}
	for k := range got {
		require.Contains(t, want, k)
	}
	for k := range want {
		require.Len(t, got[k], len(want[k]), k)
		slices.Sort(want[k])
		slices.Sort(got[k])
		for i := range want[k] {
			require.InDelta(t, want[k][i], got[k][i], float64(max(sc.exact, time.Nanosecond)), k)
		}
	}
}

// checkVisits: every try has carried the trace and the baggage to stock, each as
// the child of its own span.
func checkVisits(t *testing.T, sc scene) {
	t.Helper()
	byID := sc.spans.byID()
	parents := make(map[string]bool)
	visits := sc.town.journal.answered()
	require.Len(t, sc.spans.named(stock, "GET /items/{id}"), len(visits))
	for _, v := range visits {
		served := byID[v.span.SpanID().String()]
		try := byID[served.parent]
		require.Equal(t, stock, served.service)
		require.Equal(t, orders, try.service)
		require.Equal(t, "client", try.kind)
		require.Equal(t, v.status, try.status())
		told := contextOf(t, v.header)
		require.Equal(t, sc.trace, told.TraceID())
		require.Equal(t, try.id, told.SpanID().String())
		require.True(t, told.IsSampled())
		require.Equal(t, members(t, theBaggage), members(t, strings.Join(v.header["Baggage"], ",")))
		require.False(t, parents[try.id], "a try is sent once")
		parents[try.id] = true
	}
}

// contextOf is what the one traceparent says.
func contextOf(t *testing.T, h http.Header) trace.SpanContext {
	t.Helper()
	require.Len(t, h["Traceparent"], 1)
	ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.HeaderCarrier(h))
	return trace.SpanContextFromContext(ctx)
}

func members(t *testing.T, header string) map[string]string {
	t.Helper()
	b, err := baggage.Parse(header)
	require.NoError(t, err)
	all := make(map[string]string)
	for _, m := range b.Members() {
		all[m.Key()] = m.Value()
	}
	return all
}
