package policy

import (
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// State is a circuit breaker's.
type State uint8

const (
	// Closed: calls run, and their outcomes are counted.
	Closed State = iota
	// Open: nothing runs but the trials of TrialShare.
	Open
	// HalfOpen: trials run, and decide.
	HalfOpen
)

// String returns "closed", "open" or "half_open".
func (s State) String() string {
	switch s {
	case Open:
		return "open"
	case HalfOpen:
		return "half_open"
	default:
		return "closed"
	}
}

// epoch is one stay in one state. It keeps what that state counts, in engines of
// its own: whoever records in an epoch that is over, records for nobody.
type epoch struct {
	state      State
	generation uint64
	forced     bool
	ended      chan struct{}

	threshold int          // failures in a row that open
	inARow    atomic.Int64 // failures
	failures  *engine      // nil without a failure rate; the trials' verdict when half-open
	slow      *engine      // nil without a slow rate

	kept *counts // what it shows instead of what it counts
}

// engine is failsafe-go's breaker: it keeps a window, or counts trials, and
// changes its own state when a threshold is met.
type engine struct {
	circuitbreaker.CircuitBreaker[any]
	changed atomic.Bool // it has left the state in which it was made
}

func newEpoch(s State, generation uint64) *epoch {
	return &epoch{state: s, generation: generation, ended: make(chan struct{})}
}

func newClosed(c *CircuitBreakerConfig, generation uint64) *epoch {
	e := newEpoch(Closed, generation)
	e.threshold = c.FailureThreshold
	if c.FailureRate > 0 {
		e.failures = newWindow(c, c.FailureRate)
	}
	if c.SlowRate > 0 {
		e.slow = newWindow(c, c.SlowRate)
	}
	return e
}

func newHalfOpen(c *CircuitBreakerConfig, generation uint64) *epoch {
	e := newEpoch(HalfOpen, generation)
	e.failures = newTrialCount(c)
	return e
}

func newWindow(c *CircuitBreakerConfig, rate float64) *engine {
	return newEngine(circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(rate, uint(c.MinCalls), c.Window))
}

// newTrialCount closes after SuccessThreshold successes and opens on the first
// failure.
func newTrialCount(c *CircuitBreakerConfig) *engine {
	en := newEngine(circuitbreaker.NewBuilder[any]().WithSuccessThreshold(uint(c.SuccessThreshold)))
	en.HalfOpen()
	en.changed.Store(false)
	return en
}

func newEngine(builder circuitbreaker.Builder[any]) *engine {
	en := new(engine)
	en.CircuitBreaker = builder.
		WithDelay(time.Duration(1<<63 - 1)). // the gate says when trials are due
		OnStateChanged(func(circuitbreaker.StateChangedEvent) { en.changed.Store(true) }).
		Build()
	return en
}

// note records one outcome and reports whether it, or one before, met the
// threshold. The engine tells its change after it has unlocked, so two callers
// may both learn of it, and none may miss it.
func (en *engine) note(good bool) bool {
	if good {
		en.RecordSuccess()
	} else {
		en.RecordFailure()
	}
	return en.changed.Load()
}

// record counts the outcome of a call in a closed epoch. It returns why the
// breaker must open, or "".
func (e *epoch) record(o Outcome, slow bool) Reason {
	inARow := e.countInARow(o)
	switch {
	case e.failures != nil && e.failures.note(o == Success):
		return ReasonFailureRate
	case inARow:
		return ReasonFailuresInARow
	case e.slow != nil && e.slow.note(!slow):
		return ReasonSlowRate
	}
	return ""
}

func (e *epoch) countInARow(o Outcome) bool {
	if o == Failure {
		return e.inARow.Add(1) >= int64(e.threshold)
	}
	if e.inARow.Load() != 0 { // a store would bounce the cache line
		e.inARow.Store(0)
	}
	return false
}

type counts struct{ calls, failures, slow, inARow int }

// counts is what the epoch holds now; of an open one, what led to it.
func (e *epoch) counts() counts {
	if e.kept != nil {
		return *e.kept
	}
	c := counts{inARow: int(e.inARow.Load())}
	c.failures, c.calls = c.inARow, c.inARow
	if e.failures != nil {
		m := e.failures.Metrics()
		c.calls, c.failures = int(m.Executions()), int(m.Failures())
	}
	if e.slow != nil {
		m := e.slow.Metrics()
		c.slow = int(m.Failures())
		c.calls = max(c.calls, int(m.Executions()))
	}
	return c
}
