package compare

import (
	"context"

	"github.com/magnetar-go/magnetar/policy"
)

// magnetar is the kit's own.
type magnetar struct{ limit *policy.Concurrency }

// newMagnetar is it as it comes.
func newMagnetar(int) Limiter {
	var cfg policy.ConcurrencyConfig
	if cfg.Validate() != nil {
		return nil // a limit that finds itself is not available yet
	}
	return magnetar{policy.NewConcurrency(cfg)}
}

// newFixedQueue knows the right limit, and lets as many wait as the adaptive one
// does: what there is to reach.
func newFixedQueue(slots int) Limiter {
	return magnetar{policy.NewConcurrency(policy.ConcurrencyConfig{Limit: slots, MaxQueue: max(8, slots)})}
}

func (m magnetar) Acquire(ctx context.Context) (func(context.Context, bool), bool) {
	permit, err := m.limit.Admit(ctx)
	if err != nil {
		return nil, false
	}
	return func(ctx context.Context, ok bool) {
		if ok {
			permit.Done(ctx, policy.Success)
			return
		}
		permit.Done(ctx, policy.Ignored)
	}, true
}

func (m magnetar) Limit() int { return m.limit.Stats().Limit }
