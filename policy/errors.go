package policy

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
)

// What went wrong, for errors.Is. An [*Error] matches the sentinel of its
// [Reason], also through *url.Error and fmt.Errorf's %w.
var (
	// ErrCircuitOpen: a circuit breaker is open.
	ErrCircuitOpen = errors.New("circuit open")
	// ErrRateLimitExceeded: a rate limit is used up, or the peer asked for a pause.
	ErrRateLimitExceeded = errors.New("rate limit exceeded")
	// ErrSaturated: no room under a concurrency limit.
	ErrSaturated = errors.New("saturated")
	// ErrPoolExhausted: no pooled connection in time.
	ErrPoolExhausted = errors.New("pool exhausted")
	// ErrConnectionCreation: a connection could not be made.
	ErrConnectionCreation = errors.New("connection creation failed")
	// ErrUnhealthyConnection: a connection failed its health check.
	ErrUnhealthyConnection = errors.New("unhealthy connection")
	// ErrTimeout: a total, attempt or body time ran out.
	ErrTimeout = errors.New("timeout")
	// ErrMaxRetriesExceeded: retries ran out on errors alone.
	ErrMaxRetriesExceeded = errors.New("max retries exceeded")
	// ErrClosed: the pool or transport is closed.
	ErrClosed = errors.New("closed")
)

// Error is what the kit itself has to say: a refusal, a timeout or the end of
// the retries. It never stands for a peer's answer.
type Error struct {
	// Reason tells why; it decides which sentinel the error matches.
	Reason Reason
	// Policy that decided, such as [PolicyBreaker].
	Policy string
	// Key the policy was asked for, such as "https://api.example.com:443";
	// empty for a policy without keys.
	Key string
	// Attempts made before the decision; zero when nothing was tried.
	Attempts int
	// RetryAfter is when to try again; zero when unknown.
	RetryAfter time.Duration
	// Err is the cause where there is one: the last try's error, or the
	// timeout with its duration.
	Err error
}

// Error says that the decision was local, who took it, for which key, why, and
// when to try again.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("magnetar: ")
	sentinel := e.Reason.sentinel()
	switch sentinel {
	case ErrTimeout:
		b.WriteString("local timeout")
	case ErrMaxRetriesExceeded:
		b.WriteString("gave up locally")
	default:
		b.WriteString("refused locally")
	}
	if e.Policy != "" {
		b.WriteString(" by ")
		b.WriteString(e.Policy)
	}
	if e.Key != "" {
		b.WriteString(" for ")
		b.WriteString(e.Key)
	}
	if sentinel != nil {
		b.WriteString(": ")
		b.WriteString(sentinel.Error())
	}
	if e.Reason != "" {
		b.WriteString(" (")
		b.WriteString(string(e.Reason))
		b.WriteString(")")
	}
	if e.Attempts > 0 {
		b.WriteString(" after ")
		b.WriteString(strconv.Itoa(e.Attempts))
		if e.Attempts == 1 {
			b.WriteString(" attempt")
		} else {
			b.WriteString(" attempts")
		}
	}
	if e.RetryAfter > 0 {
		b.WriteString(", retry after ")
		b.WriteString(e.RetryAfter.Round(time.Millisecond).String())
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the sentinel of the error's reason.
func (e *Error) Is(target error) bool {
	s := e.Reason.sentinel()
	return s != nil && s == target
}

// Timeout reports whether time ran out, as net.Error and *url.Error ask.
func (e *Error) Timeout() bool {
	return e.Reason.sentinel() == ErrTimeout || errors.Is(e.Err, context.DeadlineExceeded)
}

// Temporary is false for timeouts of the kit and true for refusals: a refused
// call may pass later, see RetryAfter.
func (e *Error) Temporary() bool { return e.refusal() }

// ErrorType is the value of OpenTelemetry's error.type attribute.
func (e *Error) ErrorType() string { return string(e.Reason) }

func (e *Error) refusal() bool {
	switch e.Reason.sentinel() {
	case ErrCircuitOpen, ErrRateLimitExceeded, ErrSaturated, ErrClosed:
		return true
	case ErrPoolExhausted:
		return !errors.Is(e.Err, ErrConnectionCreation)
	}
	return false
}

// Refused reports whether err is a refusal of the kit: nothing was sent to the
// peer, so it says nothing about the peer's health. Gates ignore refusals and
// retries never repeat them.
func Refused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.refusal()
}

// Transient marks err as worth a retry, whatever it is. A nil err stays nil.
func Transient(err error) error { return mark(err, transient) }

// Permanent marks err as not worth a retry and as no fault of the peer: a bad
// argument, a row that does not exist. A nil err stays nil.
func Permanent(err error) error { return mark(err, permanent) }

type marking uint8

const (
	transient marking = iota + 1
	permanent
)

type markedError struct {
	error
	marking marking
}

func (m *markedError) Unwrap() error { return m.error }

func mark(err error, m marking) error {
	if err == nil {
		return nil
	}
	return &markedError{err, m}
}

// markingOf returns the outermost mark of err, or zero.
func markingOf(err error) marking {
	if m, ok := errors.AsType[*markedError](err); ok {
		return m.marking
	}
	return 0
}

// IsTransient reports whether err is marked by [Transient], the outermost mark
// counting.
func IsTransient(err error) bool { return markingOf(err) == transient }

// IsPermanent reports whether err is marked by [Permanent], the outermost mark
// counting.
func IsPermanent(err error) bool { return markingOf(err) == permanent }
