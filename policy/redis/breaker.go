package redislimit

import (
	"context"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

func (s *Store) newBreaker() *policy.CircuitBreaker {
	opts := []policy.Option{policy.WithKey(s.options.name)}
	if s.options.observer != nil {
		opts = append(opts, policy.WithObserver(&transitions{options: s.options}))
	}
	return policy.NewCircuitBreaker(*s.cfg.Breaker, opts...)
}

// absence is why Redis is not asked, and for which keys it gave no answer.
type absence struct {
	fault *fault
	ids   []string
}

// probed is a limit that nobody else has, and that always admits.
var probed = policy.StoreLimit{Name: "magnetar:probe", Burst: 1, Interval: time.Microsecond}

// probe finds out whether Redis is back, if that is due. It asks for the keys that
// had no answer, for they may be on one node of many. It takes something: a replica
// that must not be written to is not back. Nobody waits for it.
func (s *Store) probe(ctx context.Context) {
	permit, err := s.breaker.Admit(ctx)
	if err != nil {
		return
	}
	if !permit.Trial() { // it closed just now
		permit.Done(ctx, policy.Ignored)
		return
	}
	ctx = context.WithoutCancel(ctx)
	c, _ := chargeOf(probed, 1)
	var calls []*call
	for _, id := range s.last.Load().ids {
		calls = append(calls, newCall(ctx, id, []charge{c}))
	}
	go s.travel(&trip{ctx: ctx, calls: calls, permit: permit, end: func() {}})
}

// lastFault is why Redis is not asked.
func (s *Store) lastFault() error { return s.last.Load().fault }
