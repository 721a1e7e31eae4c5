package policy

import (
	"context"
	"fmt"
	"time"

	"github.com/magnetar-go/magnetar/policy/internal/bulkhead"
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
	return &standingContext{ctx, s}
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
	return &standingContext{ctx, s}
}

// ContextWithStanding is [ContextWithPriority] and [ContextWithCohort] at once,
// in one allocation.
func ContextWithStanding(ctx context.Context, p Priority, cohort uint64) context.Context {
	return &standingContext{ctx, standing{priority: p.clamp(), inCohort: true, cohort: cohort}}
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
	if s, ok := ctx.Value(standingKey{}).(*standing); ok {
		return *s
	}
	return standing{}
}

// standingContext is one allocation, and looking into it is none.
type standingContext struct {
	context.Context
	standing standing
}

func (c *standingContext) Value(key any) any {
	if _, ok := key.(standingKey); ok {
		return &c.standing
	}
	return c.Context.Value(key)
}

const (
	cohorts   = bulkhead.Ranks / len(priorities)
	noCohort  = cohorts / 2
	cohortAge = 60 // seconds that the order of the cohorts stays, everywhere alike
)

// rankOf is where ctx stands in a queue.
func rankOf(ctx context.Context, now time.Time) bulkhead.Rank {
	s := standingOf(ctx)
	place := noCohort
	if s.inCohort {
		place = placeIn(s.cohort, uint64(now.Unix())/cohortAge)
	}
	return bulkhead.Rank(int(s.priority-Bulk)*cohorts + place)
}

// placeIn is the place of a cohort among the others in one round. The multipliers
// are those of SplitMix64 (Steele, Lea, Flood 2014).
func placeIn(cohort, round uint64) int {
	h := cohort + round*0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return int(h >> 32 % uint64(cohorts))
}
