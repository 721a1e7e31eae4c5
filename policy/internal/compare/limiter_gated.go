package compare

import (
	"context"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/policy/internal/bulkhead"
	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

// gated is an algorithm behind the kit's gate, so that algorithms are judged by
// the limits they name and not by their queues.
type gated struct{ bulkhead *bulkhead.Bulkhead }

func newGated(alg limit.Algorithm) Limiter { return gated{bulkhead.New(alg)} }

// newGatedFixed knows the right limit.
func newGatedFixed(slots int) Limiter {
	return newGated(limit.Fixed(limit.ShortQueue(slots, 0)))
}

func (g gated) Acquire(ctx context.Context) (func(context.Context, bool), bool) {
	place, _, ok := g.bulkhead.Enter(ctx)
	if !ok {
		var verdict bulkhead.Verdict
		place, verdict = g.bulkhead.Wait(ctx, rank(ctx))
		if verdict != bulkhead.Admitted {
			return nil, false
		}
	}
	return func(_ context.Context, ok bool) {
		result := limit.Missed
		if ok {
			result = limit.Done
		}
		g.bulkhead.Exit(place, result, 0)
	}, true
}

func (g gated) Limit() int { return g.bulkhead.Limit() }

// rank is one for each priority.
func rank(ctx context.Context) bulkhead.Rank {
	return bulkhead.Rank(policy.PriorityFromContext(ctx) - policy.Bulk)
}
