package middleware

import (
	"context"
	"net/http"

	"github.com/magnetar-go/magnetar/policy"
)

// observer is the telemetry and the user's observers as one, told where a
// request was routed to. Decisions told on another goroutine than the one that
// serves their request, or after it, need a context that is [settled].
func (s *settings) observer() policy.Observer {
	var all []policy.Observer
	if s.telemetry != nil {
		all = append(all, s.telemetry)
	}
	o := policy.Observers(append(all, s.observers...)...)
	if o == nil {
		return nil
	}
	enabler, _ := o.(policy.Enabler)
	return &routeObserver{Observer: o, enabler: enabler}
}

// inbound returns the context in which decisions about r are told: ctx, which is
// r's own or one below it, where nobody looks or nothing is to be added, else
// with the propagated parent and the route that r has matched so far. It is for
// the decisions alone, not for the handler.
func (s *settings) inbound(ctx context.Context, r *http.Request) context.Context {
	if len(s.observers) == 0 && s.telemetry.Asleep(ctx) {
		return ctx
	}
	inbound := s.telemetry.Inbound(ctx, r.Header)
	if !s.watched(inbound) {
		return ctx
	}
	return withPattern(inbound, r)
}

// watched reports whether anybody wants decisions told in ctx.
func (s *settings) watched(ctx context.Context) bool {
	if s.telemetry.Enabled(ctx) {
		return true
	}
	for _, o := range s.observers {
		if e, ok := o.(policy.Enabler); o != nil && (!ok || e.Enabled(ctx)) {
			return true
		}
	}
	return false
}

// routeObserver gives decisions about a request its route.
type routeObserver struct {
	policy.Observer

	enabler policy.Enabler // the observer's; nil where it always looks
	routes  routes
}

func (o *routeObserver) Enabled(ctx context.Context) bool {
	return o.enabler == nil || o.enabler.Enabled(ctx)
}

func (o *routeObserver) Observe(ctx context.Context, d policy.Decision) {
	if d.Route == "" && ofRequest(d.Action) {
		d.Route = o.routes.of(ctx)
	}
	o.Observer.Observe(ctx, d)
}

// ofRequest reports whether a decision is about a request, rather than about the
// policy itself.
func ofRequest(a policy.Action) bool {
	switch a {
	case policy.ActionResize, policy.ActionOpen, policy.ActionHalfOpen, policy.ActionClose:
		return false
	}
	return true
}
