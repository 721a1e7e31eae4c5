// Package policy is the vocabulary of the kit: how a policy is configured, how
// it decides, and how its decisions are told.
//
// A policy is written once here and used in both directions: the same
// [CircuitBreaker], [RateLimiter] or [Concurrency] guards an HTTP host, a
// database pool or a plain function.
//
//   - Configuration is data: every policy has a plain …Config struct whose zero
//     value means the defaults and whose Validate reports all faults at once.
//   - Collaborators (observers, classifiers) are [Option]s.
//   - A [Gate] admits or refuses one try and hands out a [Permit]; the try ends
//     with one of three outcomes, for a caller's cancel says nothing about the
//     health of the peer.
//   - A refusal is an [*Error] that names who refused, for which key, why and
//     when to try again.
//   - Every decision is a [Decision] handed to an [Observer].
//
// The windows and the state machine behind [CircuitBreaker] and the
// reservations behind [RateLimiter] are failsafe-go's; none of its types is
// visible here.
package policy
