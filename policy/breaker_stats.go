package policy

import "time"

// CircuitBreakerStats is a breaker at one moment.
type CircuitBreakerStats struct {
	State      State
	Forced     bool   // by ForceOpen or ForceClosed
	Generation uint64 // counts the states the breaker has been in, from 1
	// Calls, Failures and Slow are what the window holds while closed (without
	// a rate: the failures in a row), and the trials' while half-open.
	Calls, Failures, Slow int
	FailuresInARow        int
	Trials                int           // under way
	RetryAfter            time.Duration // until a trial is due; zero: now, or closed
}

// Stats returns the breaker's figures.
func (b *CircuitBreaker) Stats() CircuitBreakerStats {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.epoch.Load()
	b.expire(now)
	c := e.counts()
	s := CircuitBreakerStats{
		State: e.state, Forced: e.forced, Generation: e.generation,
		Calls: c.calls, Failures: c.failures, Slow: c.slow, FailuresInARow: c.inARow,
		Trials: len(b.trials),
	}
	if e.state != Closed {
		if _, err := b.due(now); err != nil {
			s.RetryAfter = err.RetryAfter
		}
	}
	return s
}

// Status returns how the breaker stands, in the words common to all policies.
func (b *CircuitBreaker) Status() Status {
	s := b.Stats()
	return Status{
		Policy: PolicyBreaker, Key: b.opts.key, State: s.State.String(), Forced: s.Forced,
		Calls: s.Calls, Failures: max(s.Failures, s.FailuresInARow), Slow: s.Slow,
		Trials: s.Trials, RetryAfter: s.RetryAfter,
	}
}
