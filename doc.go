// Package magnetar is the root of a resilience kit for Go's net/http. It holds
// no code; these packages do:
//
//   - [github.com/magnetar-go/magnetar/transport] makes outbound calls resilient:
//     an http.RoundTripper with retries, circuit breaking and limits. Start here.
//   - [github.com/magnetar-go/magnetar/middleware] keeps a server answering under
//     any load: load shedding, rate limits and deadlines, for chi and any other
//     router.
//   - [github.com/magnetar-go/magnetar/pool] keeps connections healthy: a managed
//     set of http.Transports, and a pool for connections of any kind.
//   - [github.com/magnetar-go/magnetar/policy] has the policies themselves, for
//     any operation, and the errors and decisions they speak in.
//   - [github.com/magnetar-go/magnetar/policy/config] loads their configuration
//     strictly from YAML, JSON and the environment.
//   - [github.com/magnetar-go/magnetar/policy/redis] counts limits in Redis, so
//     that a whole fleet shares them.
//   - [github.com/magnetar-go/magnetar/otel] turns decisions into OpenTelemetry
//     spans and metrics, into lines of a log, and into a page that is live.
//
// The folder examples is a module of its own, with a quickstart and benchmarks.
package magnetar
