package middleware

import (
	"net/http"

	"github.com/magnetar-go/magnetar/policy"
)

// refuse answers a request that is not let through. Retry-After is e's, rounded
// up and jittered.
func (s *settings) refuse(w http.ResponseWriter, r *http.Request, e *policy.Error) {
	s.refusal(w, r, e)
}

// problem is the default refusal: a problem body of RFC 9457.
func problem(w http.ResponseWriter, r *http.Request, e *policy.Error) {
	w.WriteHeader(statusOf(e))
}

// statusOf is 429 for a quota and 503 for the rest.
func statusOf(e *policy.Error) int {
	if e.Is(policy.ErrRateLimitExceeded) {
		return http.StatusTooManyRequests
	}
	return http.StatusServiceUnavailable
}
