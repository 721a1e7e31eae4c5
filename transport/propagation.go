package transport

import (
	"net/http"
	"strconv"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Propagation names the request headers by which a peer learns how much a call
// matters and how long its caller still waits. An empty name sends nothing.
type Propagation struct {
	// Priority carries the priority on the call's context: bulk, low or
	// critical. A normal one is not sent.
	Priority string
	// Deadline carries the time that is left to the try: the shortest of its own
	// timeout, the total and the context's deadline. In grpc-timeout it is in
	// gRPC's notation, in any other header, such as
	// X-Envoy-Expected-Rq-Timeout-Ms, in whole milliseconds; at least one of the
	// unit. A call without a bound sends none.
	Deadline string
}

// WithPropagation tells peers the priority and the time left, anew with every
// try. Default: nothing is sent, for hosts may be strangers. Use it on a
// transport that calls one's own services only; redirects are followed by it
// too.
func WithPropagation(p Propagation) Option {
	p.Priority = http.CanonicalHeaderKey(p.Priority)
	p.Deadline = http.CanonicalHeaderKey(p.Deadline)
	return optionFunc(func(t *Transport) { t.propagation = p })
}

// into sets the headers of a try. What the caller has set there itself is
// replaced where there is something to say.
func (p *Propagation) into(a *attempt) {
	h := a.request.Header
	if p.Priority != "" {
		if level := policy.PriorityFromContext(a.call.ctx); level != policy.Normal {
			h[p.Priority] = []string{level.String()}
		}
	}
	if p.Deadline == "" {
		return
	}
	if left, bounded := a.left(); bounded {
		h[p.Deadline] = []string{timeout(p.Deadline, left)}
	}
}

// left is the time to the try's end; ok is false when there is none. Its own
// timeout counts only where it would cut the try: see [attempt.expire].
func (a *attempt) left() (left time.Duration, ok bool) {
	c := a.call
	left, ok = c.left()
	own := c.timeouts.Attempt
	if own > 0 && (!ok || own < left) && !eventStream(c.req.Header) && a.repeatable() {
		return own, true
	}
	return left, ok
}

// timeout is d as the value of a header.
func timeout(header string, d time.Duration) string {
	if header == "Grpc-Timeout" {
		return grpcTimeout(d)
	}
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10)
}

// grpcTimeout is d as the Timeout of gRPC over HTTP/2: at most eight digits and
// a unit, the finest that will do. It is rounded down: the peer must not go on
// for longer than it is waited for.
func grpcTimeout(d time.Duration) string {
	const most = 99_999_999
	for _, u := range [...]struct {
		unit time.Duration
		sign string
	}{{time.Microsecond, "u"}, {time.Millisecond, "m"}, {time.Second, "S"}, {time.Minute, "M"}} {
		if n := d / u.unit; n <= most {
			return strconv.FormatInt(max(int64(n), 1), 10) + u.sign
		}
	}
	return strconv.FormatInt(int64(d/time.Hour), 10) + "H"
}
