package middleware

import (
	"context"
	"net/http"

	"github.com/magnetar-go/magnetar/policy"
)

// observer is the telemetry and the user's observers as one, told where a
// request was routed to.
func (s *settings) observer() policy.Observer {
	var all []policy.Observer
	if s.telemetry != nil {
		all = append(all, s.telemetry)
	}
	return policy.Observers(append(all, s.observers...)...)
}

// inbound returns the context in which decisions about r are told: r's own,
// with the propagated parent where r is under no span yet.
func (s *settings) inbound(r *http.Request) context.Context { return r.Context() }
