//go:build linux

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// span is one as Jaeger returns it, whichever way it was asked.
type span struct {
	service, name, kind string
	trace, id, parent   string
	began               time.Time
	took                time.Duration
	failed              bool
	attributes          map[string]string
	links               []ref
	warnings            []string
}

// ref leads to another span.
type ref struct{ trace, span string }

func (s span) ended() time.Time    { return s.began.Add(s.took) }
func (s span) ref() ref            { return ref{s.trace, s.id} }
func (s span) decision() bool      { return strings.HasPrefix(s.name, "magnetar.") }
func (s span) reason() string      { return s.attributes["magnetar.reason"] }
func (s span) status() int         { return s.number("http.response.status_code") }
func (s span) is(kind string) bool { return s.kind == kind }

// number is zero where there is none.
func (s span) number(key string) int {
	n, _ := strconv.Atoi(s.attributes[key])
	return n
}

func (s span) seconds(key string) time.Duration {
	f, _ := strconv.ParseFloat(s.attributes[key], 64)
	return time.Duration(f * float64(time.Second))
}

func (s span) String() string {
	return fmt.Sprintf("%s %s %s %s", s.service, s.kind, s.name, s.reason())
}

// text is an attribute's value; a number is one, however JSON writes it.
func text(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// spans are those of a trace.
type spans []span

// where returns those that f likes, the earliest first.
func (ss spans) where(f func(span) bool) spans {
	found := slices.DeleteFunc(slices.Clone(ss), func(s span) bool { return !f(s) })
	slices.SortStableFunc(found, func(a, b span) int { return a.began.Compare(b.began) })
	return found
}

func (ss spans) named(service, name string) spans {
	return ss.where(func(s span) bool { return s.service == service && s.name == name })
}

func (ss spans) failed() spans { return ss.where(func(s span) bool { return s.failed }) }

func (ss spans) under(parent span) spans {
	return ss.where(func(s span) bool { return s.parent == parent.id })
}

// one is the only one of its kind.
func (ss spans) one(t *testing.T, service, name string) span {
	t.Helper()
	found := ss.named(service, name)
	require.Lenf(t, found, 1, "%s %s", service, name)
	return found[0]
}

func (ss spans) byID() map[string]span {
	byID := make(map[string]span, len(ss))
	for _, s := range ss {
		byID[s.id] = s
	}
	return byID
}

// between reports that a began and ended within b.
func within(t *testing.T, a, b span, exact time.Duration) {
	t.Helper()
	require.Falsef(t, a.began.Before(b.began.Add(-exact)), "%v begins before %v", a, b)
	require.Falsef(t, a.ended().After(b.ended().Add(2*exact)), "%v ends after %v", a, b)
}

// before reports that a had ended when b began.
func before(t *testing.T, a, b span, exact time.Duration) {
	t.Helper()
	require.Falsef(t, b.began.Before(a.ended().Add(-2*exact)), "%v begins before %v has ended", b, a)
}
