// Package transport is an [net/http.RoundTripper] that survives a failing
// server: retries within a budget, throttling, limits, a circuit breaker and
// timeouts, around any other RoundTripper.
//
//	client := &http.Client{Transport: transport.New(nil, transport.Default())}
//
// # The chain
//
// A call passes these rows from the outside in; those that [Config] leaves nil
// are absent. The order is fixed; another is had by nesting transports, of which
// only the outermost retries.
//
//	 1 guard        an own shallow copy of the request; the key: scheme, host, port;
//	                protocol upgrades and CONNECT pass by the chain
//	 2 call         one span for all tries; one record, which redirects share
//	 3 deadline     total time to the response headers; a caller's own replaces it
//	 4 retry        what may be repeated, within a budget that is asked before sleeping
//	 5 throttle     a 429 holds the key until its Retry-After, then calls ramp up
//	 6 rate limit   inside the retries, for a quota counts tries; that of [Config], then
//	                that of [WithRateLimit], which a fleet may share
//	 7 concurrency  held to the end of the response body; then the user's own gates
//	 8 breaker      asked last, so that a trial means traffic on the wire; peeked at
//	                before 5 to 7, so that an open one costs no token
//	 9 timeout      of one try to its headers; of a response body that stalls
//	10 attempt      the CLIENT span, fresh propagation headers, the signature
//
// # What a try's end means
//
// A failure: a connection error, the attempt timeout, 500, 502, 504, 503
// without Retry-After, a response body that died, and a caller's deadline that
// passed before the headers, later than 100 ms and ten times the key's usual
// time. Ignored, for it says nothing about the peer: the caller's cancel, a
// shorter deadline, 429, 503 with Retry-After, a local refusal. All else is a
// success.
//
// Repeated are idempotent methods, requests with an Idempotency-Key and calls
// under [policy.AllowRetry], on 425, 429, 502, 503, 504 and connection errors;
// GET, HEAD and OPTIONS also on 500; any method on a dial error or when no
// complete header was written. A request body is sent again from GetBody, or
// from what was kept of it while it was first sent, up to 64 KiB; a larger one as
// long as no try has read of it, as when none was connected, or when "Expect:
// 100-continue" was answered by a refusal. Never is it read ahead. Errors of TLS, unsupported schemes and malformed or too large
// answers are not repeated.
//
// The last response is never lost: one that is worth a retry stays open and
// unread until the next try is certain; if that is refused, or no time is left,
// it is what the caller gets. There is never a response and an error together.
//
// # Errors
//
// What the kit itself refuses or cuts is a [*policy.Error], also through
// *url.Error, and matches policy.ErrCircuitOpen, ErrRateLimitExceeded,
// ErrSaturated, ErrTimeout or ErrMaxRetriesExceeded. Everything else is the
// base's own error.
//
// # Memory
//
// A key's state takes about 1.5 KiB with the default chain. At most MaxKeys are
// kept, idle ones leaving first; keys beyond run without breaker and throttle.
package transport
