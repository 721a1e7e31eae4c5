package otel

import "go.opentelemetry.io/otel/attribute"

// The kit's own attributes; the package comment has their meaning.
const (
	keyCallAttempts = attribute.Key("magnetar.call.attempts")
	keyCanceled     = attribute.Key("magnetar.canceled")

	keyPolicy     = attribute.Key("magnetar.policy")
	keyAction     = attribute.Key("magnetar.action")
	keyReason     = attribute.Key("magnetar.reason")
	keyKey        = attribute.Key("magnetar.key")
	keyPriority   = attribute.Key("magnetar.priority")
	keyShadow     = attribute.Key("magnetar.shadow")
	keyEndpoint   = attribute.Key("magnetar.endpoint")
	keyAge        = attribute.Key("magnetar.connection.age")
	keyReused     = attribute.Key("magnetar.connection.reused")
	keyNote       = attribute.Key("magnetar.note")
	keyPoolName   = attribute.Key("magnetar.pool.name")
	keyPoolState  = attribute.Key("magnetar.pool.state")
	keyAttempt    = attribute.Key("magnetar.attempt")
	keyLimit      = attribute.Key("magnetar.limit")
	keyInFlight   = attribute.Key("magnetar.in_flight")
	keyQueued     = attribute.Key("magnetar.queued")
	keyCalls      = attribute.Key("magnetar.calls")
	keyFailures   = attribute.Key("magnetar.failures")
	keySlow       = attribute.Key("magnetar.slow")
	keyRetryAfter = attribute.Key("magnetar.retry_after")
)
