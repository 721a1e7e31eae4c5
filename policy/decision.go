package policy

import (
	"context"
	"time"
)

// The policies that decide, as [Decision].Policy and [Error].Policy name them.
const (
	PolicyBreaker     = "breaker"
	PolicyRateLimit   = "rate_limit"
	PolicyConcurrency = "concurrency"
	PolicyThrottle    = "throttle"
	PolicyTimeout     = "timeout"
	PolicyRetry       = "retry"
	PolicyGuard       = "guard"
	PolicyShed        = "shed"
	PolicyQuota       = "quota"
	PolicyDeadline    = "deadline"
	PolicyPool        = "pool"
)

// Action is what was decided. The set is closed: it is safe as a metric
// attribute.
type Action string

// Actions.
const (
	ActionAdmit    Action = "admit"     // a gate let a try through
	ActionRefuse   Action = "refuse"    // a gate refused a try
	ActionWait     Action = "wait"      // a try waited before a gate, or between tries
	ActionGiveUp   Action = "give_up"   // a failed try is not repeated; the reason says why
	ActionTimeout  Action = "timeout"   // time ran out
	ActionOpen     Action = "open"      // a breaker opened
	ActionHalfOpen Action = "half_open" // a breaker half-opened
	ActionClose    Action = "close"     // a breaker closed
	ActionHold     Action = "hold"      // a key is held back
	ActionResize   Action = "resize"    // a limit was changed
	ActionBypass   Action = "bypass"    // a policy was passed by; the reason says why
)

// Actions of a pool.
const (
	ActionAcquire Action = "acquire" // a connection was handed out
	ActionCreate  Action = "create"  // a connection was made, or could not be
	ActionRetire  Action = "retire"  // a connection left the pool
	ActionLeak    Action = "leak"    // a connection is out for too long
	ActionResolve Action = "resolve" // the endpoints of a target changed, or could not be found
	ActionProbe   Action = "probe"   // an endpoint was asked whether it is well
	ActionEject   Action = "eject"   // an endpoint gets no more requests
	ActionReturn  Action = "return"  // an ejected endpoint gets requests again
	ActionRotate  Action = "rotate"  // an endpoint's connections are left for new ones
)

// Decision is one decision of one policy. It is a value: copy it freely.
type Decision struct {
	Policy string // which policy decided, see [PolicyBreaker] and its like
	Action Action // what it decided
	Reason Reason // why; empty where the action says all
	Key    string // for which key; empty without keys
	// Route is the pattern of the route that a request to a server matched, or
	// "unrouted" when the decision came first; empty for what is no such request.
	Route string
	// Priority of the call, where the policy looks at it.
	Priority Priority
	// Shadow says that the decision was only told, not carried out.
	Shadow bool
	// Endpoint is the address behind the key, as "192.0.2.1:443"; empty where
	// there is but one.
	Endpoint string
	// Age of the connection, and whether it had been used before.
	Age    time.Duration
	Reused bool
	// Note is what whoever asked for it by hand gave as the reason.
	Note string
	// Attempt counts the tries of a call from 1; zero outside a call.
	Attempt int
	// Began is when the decision began, and Took how long it lasted: the time
	// waited, or zero for what was decided at once.
	Began time.Time
	Took  time.Duration

	// The policy's figures, where they apply.

	Limit      int           // limit of tries in flight, or per period
	InFlight   int           // tries in flight after the decision
	Queued     int           // tries waiting after the decision
	Calls      int           // calls in the window before a transition
	Failures   int           // failures in it, or in a row
	Slow       int           // slow calls in it
	RetryAfter time.Duration // when to try again, or how long a hold lasts
	Err        error         // the failure that led to it, where there was one
}

// Observer is told every decision. Observe runs on the deciding goroutine, with
// no lock held: it may call back into the policy, and what it takes, the caller
// waits. It must not wait for what it observes, as a Drain or Close would that it
// calls itself: they wait for the goroutine that tells. ctx is the deciding try's,
// so that what it holds (a span) can be linked.
type Observer interface {
	Observe(ctx context.Context, d Decision)
}

// Enabler is implemented by observers that can tell cheaply that nobody looks.
// While Enabled returns false, decisions are neither built nor handed over.
type Enabler interface {
	Enabled(ctx context.Context) bool
}

// ObserverFunc is a function as an [Observer].
type ObserverFunc func(ctx context.Context, d Decision)

// Observe calls f.
func (f ObserverFunc) Observe(ctx context.Context, d Decision) { f(ctx, d) }

// Observers fans decisions out to each of obs, in order; nil ones are left out.
// It returns nil when none is left.
func Observers(obs ...Observer) Observer {
	kept := make(fanOut, 0, len(obs))
	for _, o := range obs {
		if o != nil {
			kept = append(kept, o)
		}
	}
	switch len(kept) {
	case 0:
		return nil
	case 1:
		return kept[0]
	}
	return kept
}

type fanOut []Observer

func (f fanOut) Observe(ctx context.Context, d Decision) {
	for _, o := range f {
		if enabled(ctx, o) {
			o.Observe(ctx, d)
		}
	}
}

func (f fanOut) Enabled(ctx context.Context) bool {
	for _, o := range f {
		if enabled(ctx, o) {
			return true
		}
	}
	return false
}

func enabled(ctx context.Context, o Observer) bool {
	e, ok := o.(Enabler)
	return !ok || e.Enabled(ctx)
}
