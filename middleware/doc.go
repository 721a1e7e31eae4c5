// Package middleware keeps a server answering as much as it can, whatever
// arrives: too many requests, slow resources, clients that vanish, stall or
// claim more than their share.
//
//	import shed "github.com/magnetar-go/magnetar/middleware"
//
//	r := chi.NewRouter()
//	r.Use(shed.Deadline(shed.DeadlineConfig{}))
//	r.Use(shed.RateLimit(policy.RateLimiterConfig{Limit: 100}, shed.ByPeerIP))
//	r.Use(shed.Shed(policy.ConcurrencyConfig{}))
//
// Each is a standard func(http.Handler) http.Handler. It is made for chi and
// works with any router. Where a value stands behind it ([Shedder], [Quota]),
// the state belongs to that and not to the handlers it wraps, so one may guard
// many routes.
//
// # In which order
//
// Mount them from the outside in as they cost: what is refused should have cost
// the least, and nothing should hold a place that will be refused later.
//
//	1 your tracing   so that decisions have the server's span as their parent
//	2 Deadline       what cannot be met any more takes no token and no place, and
//	3 Priority       the rest is sorted before anybody queues
//	4 RateLimit      a client over its quota takes no place either
//	5 Shed           innermost, so that it measures the handler and nothing else
//	6 the handler
//
// Shed reads priorities by itself when it is given [WithPriority] and its like;
// [Priority] is for a Shed that is mounted deeper. Time spent in Shed's queue
// counts against the deadline, which is why that comes first. What recovers
// panics, and what puts another address into r.RemoteAddr, belongs inside
// Deadline and RateLimit: the first for Deadline aborts by a panic, the second
// because trust is a matter of the peer.
//
// # What a refused client gets
//
// Overload is 503 and a quota is 429, both with Retry-After in whole seconds,
// jittered upwards, and a small problem body (RFC 9457) that tells nothing of
// the server's insides; a deadline that passed in the handler is 504.
// [WithRefusal] replaces the answer. Of a refused body up to 64 KiB are read, for
// up to 100 ms, so that the connection can be used again; else it is closed.
// [WithShadow] decides and tells, but lets everything pass.
//
// # Whose word counts
//
// Priority and deadline headers are believed only from peers named by
// [WithTrustedPeers] or [WithTrust]: by default from nobody. X-Forwarded-For is
// never read; behind proxies let chi's ClientIPFrom… find the client.
//
// # How the limit is found
//
// With a Limit of 0, Shed finds out by itself how much the server has room for.
//
// <!-- comparison of the algorithms: begin -->
// <!-- comparison of the algorithms: end -->
//
// # What it will not do
//
//   - Cut a handler short that does not heed its context: a goroutine cannot be
//     ended from outside, and answering in its stead would only hide it.
//   - Wait for a quota, or limit by a key that nobody chose.
//   - Tell a slow client from a slow server by the clock alone: time that a
//     request waits for its own client is left out.
//   - Authenticate, cache, retry or balance.
package middleware
