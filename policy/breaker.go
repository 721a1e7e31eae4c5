package policy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// CircuitBreaker stops calling a peer that fails, and finds out with a few
// trials when it is back (Nygard, "Release It!", ch. 5). It is safe for
// concurrent use; a success while closed takes no lock of its own.
//
// Every state is an epoch of its own. A permit belongs to the epoch that gave
// it out, so a result that arrives late changes nothing.
type CircuitBreaker struct {
	cfg   CircuitBreakerConfig
	opts  options
	epoch atomic.Pointer[epoch] // swapped under mu

	mu        sync.Mutex
	failed    int       // openings since it was last closed
	cooldown  float64   // of the current opening or trial, in nanoseconds
	credit    float64   // share of a trial accrued by offered calls
	owed      bool      // a trial ended Ignored: the next call takes its place
	lastTrial time.Time // or the opening, before the first
	lastAsk   time.Time
	trialID   uint64
	trials    []trial // under way in the current epoch, oldest first
}

type trial struct {
	id      uint64
	expires time.Time
}

// NewCircuitBreaker returns a closed breaker. It panics on what cfg.Validate
// reports.
func NewCircuitBreaker(cfg CircuitBreakerConfig, opts ...Option) *CircuitBreaker {
	must("CircuitBreakerConfig", cfg.Validate())
	b := &CircuitBreaker{cfg: cfg.withDefaults(), opts: newOptions(opts)}
	b.epoch.Store(newClosed(&b.cfg, 1))
	show(b.opts.watch.observer, b, (*CircuitBreaker).Status)
	return b
}

// Do runs op unless the breaker is open. A refusal is an [*Error] that matches
// ErrCircuitOpen.
func (b *CircuitBreaker) Do(ctx context.Context, op func(context.Context) error) error {
	return do(ctx, b, b.opts.failureIf, op)
}

// Admit never waits. A refusal is an [*Error] that matches ErrCircuitOpen and
// tells when the next trial is due.
func (b *CircuitBreaker) Admit(ctx context.Context) (Permit, error) {
	if e := b.epoch.Load(); e.state == Closed {
		return b.admitClosed(ctx, e), nil
	}
	return b.admitTrial(ctx, offered)
}

// Peek asks whether Admit would let a try pass, and counts the try as offered.
// It is for callers that must take something else, such as a token, between
// the question and the try: they peek first and then ask AdmitPeeked.
func (b *CircuitBreaker) Peek(ctx context.Context) error {
	if b.epoch.Load().state == Closed {
		return nil
	}
	now := time.Now()
	b.mu.Lock()
	b.offer(now)
	_, err := b.due(now)
	b.mu.Unlock()
	if err != nil {
		b.refused(ctx, now, err)
		return err
	}
	return nil
}

// AdmitPeeked is Admit for a try that has passed Peek: it is not counted as
// offered again.
func (b *CircuitBreaker) AdmitPeeked(ctx context.Context) (Permit, error) {
	if e := b.epoch.Load(); e.state == Closed {
		return b.admitClosed(ctx, e), nil
	}
	return b.admitTrial(ctx, peeked)
}

// State returns the state.
func (b *CircuitBreaker) State() State { return b.epoch.Load().state }

// Changed returns a channel that is closed when the current state ends. Ask for
// it before State, so that no change is missed.
func (b *CircuitBreaker) Changed() <-chan struct{} { return b.epoch.Load().ended }

// ForceOpen refuses every call until ForceClosed or Reset.
func (b *CircuitBreaker) ForceOpen(ctx context.Context) { b.force(ctx, Open) }

// ForceClosed admits every call and counts none until ForceOpen or Reset.
func (b *CircuitBreaker) ForceClosed(ctx context.Context) { b.force(ctx, Closed) }

// Reset closes the breaker, forgets what it has counted and lets it decide by
// itself again.
func (b *CircuitBreaker) Reset(ctx context.Context) {
	b.mu.Lock()
	was := b.epoch.Load()
	b.failed = 0
	b.enter(newClosed(&b.cfg, was.generation+1))
	b.mu.Unlock()
	b.transition(ctx, was, ActionClose, ReasonForced)
}

func (b *CircuitBreaker) force(ctx context.Context, s State) {
	b.mu.Lock()
	was := b.epoch.Load()
	next := newEpoch(s, was.generation+1)
	next.forced = true
	b.enter(next)
	b.mu.Unlock()
	action := ActionOpen
	if s == Closed {
		action = ActionClose
	}
	b.transition(ctx, was, action, ReasonForced)
}

// Idle reports whether the breaker can be dropped from a map of breakers: it is
// closed, or has not been asked for twice its cooldown.
func (b *CircuitBreaker) Idle() bool {
	e := b.epoch.Load()
	if e.forced {
		return false
	}
	if e.state == Closed {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Since(b.lastAsk) > time.Duration(2*b.cooldown)
}

func (b *CircuitBreaker) admitClosed(ctx context.Context, e *epoch) Permit {
	g := grant{epoch: e}
	if b.cfg.SlowCall > 0 {
		g.began = sinceBase()
	}
	if b.opts.watch.wants(ctx) {
		b.opts.watch.observe(ctx, Decision{Policy: PolicyBreaker, Action: ActionAdmit, Key: b.opts.key, Began: time.Now()})
	}
	return issue(b, g)
}

// end takes a permit back. See Permit.Done.
func (b *CircuitBreaker) end(ctx context.Context, s *slot, o Outcome) {
	slow := b.slow(s)
	if s.trial != 0 {
		if slow && o == Success {
			o = Failure
		}
		b.endTrial(ctx, &s.grant, o)
		return
	}
	e := s.epoch
	if o == Ignored || e.forced || e != b.epoch.Load() {
		return
	}
	if reason := e.record(o, slow); reason != "" {
		b.trip(ctx, e, reason)
	}
}

func (b *CircuitBreaker) slow(s *slot) bool {
	if s.began == 0 {
		return false
	}
	ended := s.responded.Swap(0)
	if ended == 0 {
		ended = sinceBase()
	}
	return time.Duration(ended-s.began) >= b.cfg.SlowCall
}

// trip opens the breaker, unless somebody else has ended e already.
func (b *CircuitBreaker) trip(ctx context.Context, e *epoch, reason Reason) {
	b.mu.Lock()
	if b.epoch.Load() != e {
		b.mu.Unlock()
		return
	}
	b.open(e, time.Now())
	b.mu.Unlock()
	b.transition(ctx, e, ActionOpen, reason)
}

// transition tells the end of epoch was, with what it had counted.
func (b *CircuitBreaker) transition(ctx context.Context, was *epoch, a Action, reason Reason) {
	if !b.opts.watch.wants(ctx) {
		return
	}
	c := was.counts()
	b.opts.watch.observe(ctx, Decision{
		Policy: PolicyBreaker, Action: a, Reason: reason, Key: b.opts.key, Began: time.Now(),
		Calls: c.calls, Failures: c.failures, Slow: c.slow,
	})
}
