package policy

// Reason tells why a decision was taken. The set is closed: it is safe as a
// metric attribute.
type Reason string

// Reasons of a refusal. The sentinel that the resulting [*Error] matches stands
// behind each.
const (
	ReasonCircuitOpen        Reason = "circuit_open"        // the breaker is open: ErrCircuitOpen
	ReasonForcedOpen         Reason = "forced_open"         // the breaker was opened by hand: ErrCircuitOpen
	ReasonTrialsBusy         Reason = "trials_busy"         // half-open and every trial slot is taken: ErrCircuitOpen
	ReasonRateLimit          Reason = "rate_limit"          // the limit is used up for longer than may be waited: ErrRateLimitExceeded
	ReasonKeyHeld            Reason = "key_held"            // the peer asked this key to pause: ErrRateLimitExceeded
	ReasonLimitReached       Reason = "limit_reached"       // the concurrency limit is reached: ErrSaturated
	ReasonQueueFull          Reason = "queue_full"          // and so is its queue: ErrSaturated
	ReasonQueueTimeout       Reason = "queue_timeout"       // waited in the queue for too long: ErrSaturated
	ReasonEvicted            Reason = "evicted"             // gave up its place in the queue to a more important one: ErrSaturated
	ReasonDeadlineUnmeetable Reason = "deadline_unmeetable" // too little of its time is left: ErrSaturated
	ReasonStore              Reason = "store"               // the shared store did not answer: ErrSaturated
	ReasonEmptyKey           Reason = "empty_key"           // nothing to count it by: ErrRateLimitExceeded
	ReasonClosed             Reason = "closed"              // closed for good, or draining: ErrClosed
)

// Reasons why a pool has no connection to give.
const (
	ReasonAcquireTimeout   Reason = "acquire_timeout"   // none in time: ErrPoolExhausted
	ReasonTooManyWaiters   Reason = "too_many_waiters"  // all are out and no more may wait: ErrPoolExhausted
	ReasonNoneIdle         Reason = "none_idle"         // none is idle, and the caller would not wait: ErrPoolExhausted
	ReasonConnectionFailed Reason = "connection_failed" // one could not be made: ErrConnectionCreation
	ReasonNoEndpoint       Reason = "no_endpoint"       // no address is known for the host: ErrConnectionCreation
	ReasonUnhealthy        Reason = "unhealthy"         // one failed its check, and leaves: ErrUnhealthyConnection
)

// Reasons why a connection left a pool, beside [ReasonUnhealthy] and
// [ReasonClosed].
const (
	ReasonLifetime  Reason = "lifetime"  // it is as old as may be
	ReasonIdle      Reason = "idle"      // nobody has used it for too long
	ReasonDiscarded Reason = "discarded" // its user found it broken
	ReasonRetired   Reason = "retired"   // all of its time were retired by hand
	ReasonSurplus   Reason = "surplus"   // the pool was made smaller
	ReasonDetached  Reason = "detached"  // its user keeps it
)

// Reasons of what happens to endpoints, beside [ReasonFailuresInARow] and
// [ReasonTooManyKeys].
const (
	ReasonSuccessRate    Reason = "success_rate"    // ejected: succeeds far less often than the others
	ReasonProbeFailed    Reason = "probe_failed"    // ejected: does not answer probes
	ReasonEjectionOver   Reason = "ejection_over"   // returned: its time is over
	ReasonProbeSucceeded Reason = "probe_succeeded" // returned: answers probes
	ReasonTooFewHealthy  Reason = "too_few_healthy" // ejections passed by: too few endpoints are left
	ReasonEjected        Reason = "ejected"         // rotated: for it was ejected
	ReasonRemoved        Reason = "removed"         // rotated: the resolver no longer names it
	ReasonRotated        Reason = "rotated"         // rotated by hand
	ReasonIgnoredClose   Reason = "ignored_close"   // rotated: the peer keeps connections open that it was asked to close
	ReasonKeepAlive      Reason = "keep_alive"      // rotated: the peer closes idle connections earlier than was known
	ReasonDrainTimeout   Reason = "drain_timeout"   // connections of an old generation were cut
	ReasonUnused         Reason = "unused"          // nobody asked for the target for long
	ReasonBalancer       Reason = "balancer"        // the balancer passed by: it panics, or chooses what is not there
)

// Reasons of a timeout; the [*Error] matches ErrTimeout.
const (
	ReasonTimeout        Reason = "timeout"         // a plain operation's time ran out
	ReasonTotalTimeout   Reason = "total_timeout"   // no response headers within the whole call's time
	ReasonAttemptTimeout Reason = "attempt_timeout" // no response headers within the try's time
	ReasonBodyStalled    Reason = "body_stalled"    // the response body stopped moving
	ReasonCreateTimeout  Reason = "create_timeout"  // a connection was not made within its time
	ReasonCheckTimeout   Reason = "check_timeout"   // a connection's health was not told within its time
)

// Reasons of a retry: what was wrong with the try before it.
const (
	ReasonStatus    Reason = "status"     // a status worth another try
	ReasonError     Reason = "error"      // an error worth another try
	ReasonDialError Reason = "dial_error" // no connection, so nothing was sent
	ReasonUnsent    Reason = "unsent"     // a connection that failed before a byte was written
)

// Reasons why a try that failed was not repeated.
const (
	ReasonMaxRetries        Reason = "max_retries"         // the tries are used up; an *Error matches ErrMaxRetriesExceeded
	ReasonMethod            Reason = "method"              // the method is not idempotent
	ReasonBodyNotReplayable Reason = "body_not_replayable" // the request body cannot be sent again
	ReasonBudget            Reason = "budget"              // the retry budget is used up
	ReasonDeadline          Reason = "deadline"            // the wait would outlast the deadline
	ReasonRetryAfter        Reason = "retry_after"         // the peer asked for a longer wait than allowed
	ReasonNested            Reason = "nested"              // an outer transport retries already
	ReasonCanceled          Reason = "canceled"            // the caller went away
	ReasonNotRetryable      Reason = "not_retryable"       // the failure would repeat itself
)

// Reasons of a breaker's transitions.
const (
	ReasonFailuresInARow  Reason = "failures_in_a_row" // opened: N failures in a row
	ReasonFailureRate     Reason = "failure_rate"      // opened: too large a share of failures
	ReasonSlowRate        Reason = "slow_rate"         // opened: too large a share of slow calls
	ReasonTrialFailed     Reason = "trial_failed"      // opened again: a trial failed
	ReasonCooldownOver    Reason = "cooldown_over"     // a trial was let through: the cooldown is over
	ReasonTrialShare      Reason = "trial_share"       // a trial was let through: its share accrued
	ReasonTrialIgnored    Reason = "trial_ignored"     // a trial was let through: the one before told nothing
	ReasonTrialSucceeded  Reason = "trial_succeeded"   // half-opened: a trial of an open breaker succeeded
	ReasonTrialsSucceeded Reason = "trials_succeeded"  // closed: enough trials succeeded
	ReasonForced          Reason = "forced"            // opened, closed or reset by hand
)

// Reasons of what happens to a request on a server.
const (
	ReasonStream     Reason = "stream"      // it left its lane: a stream, an upgrade or a hijacked connection
	ReasonClientGone Reason = "client_gone" // the client went away
	ReasonOverrun    Reason = "overrun"     // its deadline passed in the handler: ErrTimeout
)

// Reasons of the throttle, and of what runs without a policy.
const (
	ReasonTooManyRequests Reason = "too_many_requests" // a 429 holds the key
	ReasonUnavailable     Reason = "unavailable"       // a run of 503 with Retry-After holds the key
	ReasonRamp            Reason = "ramp"              // after a hold, calls are let go one by one
	ReasonUpgrade         Reason = "upgrade"           // a protocol upgrade passes by the chain
	ReasonTooManyKeys     Reason = "too_many_keys"     // the keyed map is full, so the key shares or goes without
)

func (r Reason) sentinel() error {
	switch r {
	case ReasonCircuitOpen, ReasonForcedOpen, ReasonTrialsBusy:
		return ErrCircuitOpen
	case ReasonRateLimit, ReasonKeyHeld, ReasonEmptyKey:
		return ErrRateLimitExceeded
	case ReasonLimitReached, ReasonQueueFull, ReasonQueueTimeout, ReasonEvicted, ReasonDeadlineUnmeetable, ReasonStore:
		return ErrSaturated
	case ReasonAcquireTimeout, ReasonTooManyWaiters, ReasonNoneIdle:
		return ErrPoolExhausted
	case ReasonConnectionFailed, ReasonNoEndpoint:
		return ErrConnectionCreation
	case ReasonUnhealthy:
		return ErrUnhealthyConnection
	case ReasonTimeout, ReasonTotalTimeout, ReasonAttemptTimeout, ReasonBodyStalled, ReasonOverrun,
		ReasonCreateTimeout, ReasonCheckTimeout:
		return ErrTimeout
	case ReasonMaxRetries:
		return ErrMaxRetriesExceeded
	case ReasonClosed:
		return ErrClosed
	}
	return nil
}
