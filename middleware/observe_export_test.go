package middleware

import (
	"context"
	"net/http"

	"github.com/magnetar-go/magnetar/policy"
)

// Teller tells of every request as a middleware does, and does nothing else.
type Teller struct {
	settings settings
	observer policy.Observer
}

// NewTeller makes a Teller.
func NewTeller(opts ...Option) *Teller {
	s := newSettings(opts)
	return &Teller{s, s.observer()}
}

// Inbound is the context in which decisions about r are told.
func (t *Teller) Inbound(r *http.Request) context.Context { return t.settings.inbound(r.Context(), r) }

// Settled is ctx for other goroutines.
func Settled(ctx context.Context) context.Context { return settled(ctx) }

// Tell tells d if anybody looks.
func (t *Teller) Tell(ctx context.Context, d policy.Decision) {
	if e, ok := t.observer.(policy.Enabler); ok && e.Enabled(ctx) {
		t.observer.Observe(ctx, d)
	}
}

// Before tells d before a request is handled.
func (t *Teller) Before(d policy.Decision) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t.Tell(t.Inbound(r), d)
			next.ServeHTTP(w, r)
		})
	}
}

// After tells d after it.
func (t *Teller) After(d policy.Decision) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := t.Inbound(r)
			next.ServeHTTP(w, r)
			t.Tell(ctx, d)
		})
	}
}
