package middleware

import (
	"context"

	"github.com/magnetar-go/magnetar/policy"
)

// decider is who is told the decisions. In shadow mode a refusal is only told.
func (s *settings) decider() policy.Observer {
	o := s.observer()
	if o == nil || !s.shadow {
		return o
	}
	return shadowed{o}
}

type shadowed struct{ policy.Observer }

func (o shadowed) Enabled(ctx context.Context) bool { return wants(ctx, o.Observer) }

func (o shadowed) Observe(ctx context.Context, d policy.Decision) {
	d.Shadow = d.Action == policy.ActionRefuse
	o.Observer.Observe(ctx, d)
}

// tried is cfg, but in shadow mode nobody is kept waiting: who would have had to
// counts as refused.
func (s *settings) tried(cfg policy.ConcurrencyConfig) policy.ConcurrencyConfig {
	if s.shadow {
		cfg.MaxWait = 1
	}
	return cfg
}
