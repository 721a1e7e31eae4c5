package policy

import (
	"context"
	"fmt"
)

// Priority is how much a call matters when there is no room for all. The zero
// value is Normal.
type Priority int8

// Priorities, least first.
const (
	Bulk     Priority = iota - 2 // may wait for hours: exports, prefetching, replays
	Low                          // may fail for a while unnoticed: crawlers, suggestions
	Normal                       // a person waits for it
	Critical                     // the business stands still without it: payments, logins
)

var priorities = [...]string{"bulk", "low", "normal", "critical"}

// String returns "bulk", "low", "normal" or "critical".
func (p Priority) String() string { return priorities[p.clamp()-Bulk] }

// ParsePriority is the inverse of String. The error says what was found and
// what there is.
func ParsePriority(s string) (Priority, error) {
	for i, name := range priorities {
		if s == name {
			return Bulk + Priority(i), nil
		}
	}
	return Normal, fmt.Errorf("priority %.20q: must be one of bulk, low, normal, critical", s)
}

func (p Priority) clamp() Priority { return min(max(p, Bulk), Critical) }

// ContextWithPriority says how much what runs under ctx matters. A priority out
// of range counts as the nearest.
func ContextWithPriority(ctx context.Context, p Priority) context.Context {
	s := standingOf(ctx)
	s.priority = p.clamp()
	return context.WithValue(ctx, standingKey{}, s)
}

// PriorityFromContext returns the priority in ctx; [Normal] if there is none.
func PriorityFromContext(ctx context.Context) Priority { return standingOf(ctx).priority }

// ContextWithCohort says to whom what runs under ctx belongs, as a number that
// is evenly spread: a hash of the user, the tenant or the session. When a part
// of a priority's calls is refused, those of one cohort share their fate, so
// that some are served well rather than all of them now and then. Which cohorts
// come first changes every minute.
func ContextWithCohort(ctx context.Context, cohort uint64) context.Context {
	s := standingOf(ctx)
	s.cohort, s.inCohort = cohort, true
	return context.WithValue(ctx, standingKey{}, s)
}

// CohortFromContext returns the cohort in ctx, and whether there is one.
func CohortFromContext(ctx context.Context) (uint64, bool) {
	s := standingOf(ctx)
	return s.cohort, s.inCohort
}

type standingKey struct{}

// standing is where a call stands among others.
type standing struct {
	priority Priority
	inCohort bool
	cohort   uint64
}

func standingOf(ctx context.Context) standing {
	s, _ := ctx.Value(standingKey{}).(standing)
	return s
}
