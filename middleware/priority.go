package middleware

import (
	"context"
	"net/http"
	"strings"

	"github.com/magnetar-go/magnetar/policy"
)

// Priority puts on the context of each request what [WithPriority],
// [WithPriorityHeader] and [WithCohort] say of it. [Shed] does so by itself when
// it is given these options; this is for a Shed that is mounted deeper, per
// route.
func Priority(opts ...Option) func(http.Handler) http.Handler {
	s := newSettings(opts)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, ranked := s.standing(r)
			if !ranked {
				next.ServeHTTP(w, r)
				return
			}
			inner := r.WithContext(ctx)
			defer carryOver(r, inner)
			next.ServeHTTP(w, inner)
		})
	}
}

// carryOver gives a request what net/http and routers noted on a copy of it for
// those outside: the pattern, and the form whose files the server removes.
func carryOver(r, inner *http.Request) {
	if r != inner {
		r.Pattern, r.MultipartForm = inner.Pattern, inner.MultipartForm
	}
}

// WithPriority sorts requests by what f says. Default: the priority that is on
// the request's context, else [policy.Normal].
func WithPriority(f func(*http.Request) policy.Priority) Option {
	return optionFunc(func(s *settings) { s.ranking.priority = f })
}

// WithPriorityHeader takes the priority from a header of the user's choice, if
// the peer is trusted: see [WithTrustedPeers]. Its value is bulk, low, normal or
// critical in letters of either case; a request with any other value, or with
// several, is as one without the header: [WithPriority] decides.
func WithPriorityHeader(name string) Option {
	name = http.CanonicalHeaderKey(name)
	return optionFunc(func(s *settings) { s.ranking.header = name })
}

// WithCohort names whom a request belongs to: the user, the tenant, the session.
// When a part of a priority's requests is refused, those of one cohort share
// their fate. An empty name is no cohort. The name is only hashed, and with the
// same result everywhere, so that a cohort's fate is the same on every replica.
func WithCohort(f func(*http.Request) string) Option {
	return optionFunc(func(s *settings) { s.ranking.cohort = f })
}

// ranking says where a request stands among others.
type ranking struct {
	priority func(*http.Request) policy.Priority
	header   string // canonical; empty: none
	cohort   func(*http.Request) string
}

// standing returns r's context with its priority and cohort, and whether there
// was anything to say.
func (s *settings) standing(r *http.Request) (context.Context, bool) {
	p, ranked := s.priorityOf(r)
	c, inCohort := s.cohortOf(r)
	switch {
	case ranked && inCohort:
		return policy.ContextWithStanding(r.Context(), p, c), true
	case ranked:
		return policy.ContextWithPriority(r.Context(), p), true
	case inCohort:
		return policy.ContextWithCohort(r.Context(), c), true
	}
	return r.Context(), false
}

func (s *settings) priorityOf(r *http.Request) (policy.Priority, bool) {
	if s.ranking.header != "" {
		if p, ok := parsePriority(r.Header[s.ranking.header]); ok && s.trust.trusts(r) {
			return p, true
		}
	}
	if s.ranking.priority == nil {
		return policy.Normal, false
	}
	return s.ranking.priority(r), true
}

// parsePriority reads a header's values; more than one is none.
func parsePriority(values []string) (policy.Priority, bool) {
	if len(values) != 1 {
		return policy.Normal, false
	}
	for p := policy.Bulk; p <= policy.Critical; p++ {
		if strings.EqualFold(values[0], p.String()) {
			return p, true
		}
	}
	return policy.Normal, false
}

func (s *settings) cohortOf(r *http.Request) (uint64, bool) {
	if s.ranking.cohort == nil {
		return 0, false
	}
	name := s.ranking.cohort(r)
	return hash(name), name != ""
}

// hash is FNV-1a, which every replica computes alike.
func hash(name string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * prime
	}
	return h
}
