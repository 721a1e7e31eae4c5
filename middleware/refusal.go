package middleware

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// refuse answers a request that is not let through. Retry-After is e's, rounded
// up and jittered; negative means that trying again is of no use. Of a request's
// body no more is read than is cheap.
func (s *settings) refuse(w http.ResponseWriter, r *http.Request, e *policy.Error) {
	h := w.Header()
	if e.RetryAfter >= 0 && e.Reason != policy.ReasonEmptyKey {
		h["Retry-After"] = retryAfter(e.RetryAfter)
	}
	if mustClose(w, r, e) {
		h["Connection"] = closeConnection
	}
	s.refusal(w, r, e)
}

// problem is the default answer: a problem body of RFC 9457.
func problem(w http.ResponseWriter, r *http.Request, e *policy.Error) {
	h := w.Header()
	h["Content-Type"] = problemJSON
	h["Cache-Control"] = noStore
	w.WriteHeader(statusOf(e))
	if r.Method != http.MethodHead {
		_, _ = w.Write(problemOf(e)) // a client that has gone is told nothing
	}
}

// statusOf is 429 for a quota, 504 for a handler that overran its deadline, and
// 503 for the rest.
func statusOf(e *policy.Error) int {
	switch {
	case e.Is(policy.ErrRateLimitExceeded):
		return http.StatusTooManyRequests
	case e.Is(policy.ErrTimeout):
		return http.StatusGatewayTimeout
	}
	return http.StatusServiceUnavailable
}

// The bodies say nothing of the server's insides: no key, no limit, no address.
// Without a type they are "about:blank", whose title is the status's own.
var (
	problemOverload   = []byte(`{"title":"Service Unavailable","status":503,"detail":"The server has no room for this request now."}`)
	problemUnmeetable = []byte(`{"title":"Service Unavailable","status":503,"detail":"Too little time is left to answer this request."}`)
	problemClosed     = []byte(`{"title":"Service Unavailable","status":503,"detail":"The server is shutting down."}`)
	problemQuota      = []byte(`{"title":"Too Many Requests","status":429,"detail":"The quota of this client is used up."}`)
	problemOverrun    = []byte(`{"title":"Gateway Timeout","status":504,"detail":"The server did not answer in time."}`)
)

func problemOf(e *policy.Error) []byte {
	switch {
	case e.Is(policy.ErrRateLimitExceeded):
		return problemQuota
	case e.Is(policy.ErrTimeout):
		return problemOverrun
	case e.Is(policy.ErrClosed):
		return problemClosed
	case e.Reason == policy.ReasonDeadlineUnmeetable:
		return problemUnmeetable
	}
	return problemOverload
}

// Header values that all refusals share. Nobody may change them in place.
var (
	problemJSON     = []string{"application/problem+json"}
	noStore         = []string{"no-store"}
	closeConnection = []string{"close"}
	seconds         = func() (all [128][]string) {
		for i := range all {
			all[i] = []string{strconv.Itoa(i)}
		}
		return all
	}()
)

// Bounds of the jitter, in seconds.
const (
	leastSpread = 2
	mostSpread  = 60
)

// retryAfter is d in whole seconds, at least one and never earlier than d. Up to
// half of d is added, within the bounds of the spread, so that those who are
// refused together do not come back together.
func retryAfter(d time.Duration) []string {
	least := int64(d / time.Second)
	if d%time.Second > 0 || least == 0 {
		least++
	}
	spread := min(max(least/2, leastSpread), mostSpread)
	after := least + rand.Int64N(spread+1)
	if after < int64(len(seconds)) {
		return seconds[after]
	}
	return []string{strconv.FormatInt(after, 10)}
}

// What is read of the body of a refused request, so that an HTTP/1 connection
// can be used again; and for how long net/http, which reads on up to 256 KiB
// once the answer is on its way, may spare the client a reset.
const (
	drainBytes = 64 << 10
	drainTime  = 100 * time.Millisecond
	lingerTime = 500 * time.Millisecond
)

// mustClose reports whether an HTTP/1 connection ends with the answer: the
// server is closing, or more of a body is to come than is worth reading. Later
// versions reset a stream and keep the connection.
func mustClose(w http.ResponseWriter, r *http.Request, e *policy.Error) bool {
	if r.ProtoMajor != 1 {
		return false
	}
	closing := e.Reason == policy.ReasonClosed
	if r.Body == nil || r.Body == http.NoBody {
		return closing
	}
	rc := http.NewResponseController(w)
	if !closing && small(r) && drain(rc, r.Body) {
		return false
	}
	// Where there is no deadline to set, net/http is not below, and the limit is
	// somebody else's.
	_ = rc.SetReadDeadline(time.Now().Add(lingerTime))
	return true
}

// small reports whether the body is worth reading. One of unknown length is not,
// and one that waits for 100 Continue must not be, for reading asks for it.
func small(r *http.Request) bool {
	return r.ContentLength >= 0 && r.ContentLength <= drainBytes && len(r.Header["Expect"]) == 0
}

// drain reads a body to its end and reports whether it got there in time.
func drain(rc *http.ResponseController, body io.Reader) bool {
	if rc.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return false
	}
	_, err := io.CopyN(io.Discard, body, drainBytes+1)
	if !errors.Is(err, io.EOF) {
		return false
	}
	return rc.SetReadDeadline(time.Time{}) == nil
}
