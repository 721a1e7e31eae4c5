package policy

import "context"

// Outcome is how a try ended, as far as the health of the peer is concerned.
type Outcome uint8

const (
	// Ignored: the try says nothing about the peer: a caller's cancel, a lost
	// hedge, a 429, a local refusal. It is the zero value.
	Ignored Outcome = iota
	// Success: the peer did its job.
	Success
	// Failure: the peer failed.
	Failure
)

// String returns "ignored", "success" or "failure".
func (o Outcome) String() string {
	switch o {
	case Success:
		return "success"
	case Failure:
		return "failure"
	default:
		return "ignored"
	}
}

// Gate admits or refuses one try. Circuit breakers, rate limiters and
// concurrency limits are gates.
type Gate interface {
	// Admit waits no longer than the policy allows and ctx lives. It returns a
	// permit whose Done must be called once, or an error: a refusal is an
	// [*Error], and when ctx ends first it is the cause of ctx.
	Admit(ctx context.Context) (Permit, error)
}

// Policy runs an operation under its rule.
type Policy interface {
	Do(ctx context.Context, op func(context.Context) error) error
}
