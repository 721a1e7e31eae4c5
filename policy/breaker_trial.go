package policy

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// asked tells whether a try has been counted as offered already.
type asked uint8

const (
	offered asked = iota
	peeked
)

// admitTrial decides about a try while the breaker is not closed.
func (b *CircuitBreaker) admitTrial(ctx context.Context, a asked) (Permit, error) {
	now := time.Now()
	b.mu.Lock()
	was := b.epoch.Load()
	if was.state == Closed { // closed just now
		b.mu.Unlock()
		return b.admitClosed(ctx, was), nil
	}
	if a == offered {
		b.offer(now)
	}
	reason, err := b.due(now)
	if err != nil {
		b.mu.Unlock()
		b.refused(ctx, now, err)
		return Permit{}, err
	}
	g := b.begin(now)
	b.mu.Unlock()

	if g.epoch != was {
		b.transition(ctx, was, ActionHalfOpen, reason)
	}
	if b.opts.watch.wants(ctx) {
		b.opts.watch.observe(ctx, Decision{
			Policy: PolicyBreaker, Action: ActionAdmit, Reason: reason, Key: b.opts.key, Began: time.Now(), // after what it half-opened
		})
	}
	return issue(b, g), nil
}

func (b *CircuitBreaker) refused(ctx context.Context, now time.Time, err *Error) {
	if b.opts.watch.wants(ctx) {
		b.opts.watch.observe(ctx, Decision{
			Policy: PolicyBreaker, Action: ActionRefuse, Reason: err.Reason, Key: b.opts.key, Began: now,
			RetryAfter: err.RetryAfter,
		})
	}
}

// The methods below require mu.

// offer counts a call towards the next trial.
func (b *CircuitBreaker) offer(now time.Time) {
	b.lastAsk = now
	b.credit = min(b.credit+b.cfg.TrialShare, 1)
}

// due tells why a trial may begin now, or refuses it.
func (b *CircuitBreaker) due(now time.Time) (Reason, *Error) {
	e := b.epoch.Load()
	if e.state == Closed {
		return "", nil
	}
	if e.forced {
		return "", b.refusal(ReasonForcedOpen, 0)
	}
	b.expire(now)
	next := b.lastTrial.Add(time.Duration(b.cooldown)).Sub(now)
	share := b.cfg.TrialShare > 0
	switch {
	case b.owed && (!share || now.Sub(b.lastTrial) >= b.trialSpacing()):
		return ReasonTrialIgnored, nil
	case e.state == HalfOpen && len(b.trials) < b.slots(e):
		return ReasonTrialSucceeded, nil
	case share && b.credit >= 1-1e-9 && now.Sub(b.lastTrial) >= b.trialSpacing():
		return ReasonTrialShare, nil
	case (share || e.state == Open) && next <= 0:
		return ReasonCooldownOver, nil
	case e.state == HalfOpen && !share:
		return "", b.refusal(ReasonTrialsBusy, b.trials[0].expires.Sub(now))
	}
	return "", b.refusal(ReasonCircuitOpen, next)
}

func (b *CircuitBreaker) refusal(reason Reason, retryAfter time.Duration) *Error {
	return &Error{Reason: reason, Policy: PolicyBreaker, Key: b.opts.key, RetryAfter: retryAfter}
}

// slots is how many trials may be under way while half-open.
func (b *CircuitBreaker) slots(e *epoch) int {
	if b.cfg.TrialShare > 0 {
		return 1 + int(e.failures.Metrics().Successes())
	}
	return b.cfg.Trials
}

func (b *CircuitBreaker) trialSpacing() time.Duration {
	if b.cfg.MaxTrialRate < 0 {
		return 0
	}
	return time.Duration(float64(time.Second) / b.cfg.MaxTrialRate)
}

// begin starts a trial that is due. A breaker without TrialShare half-opens for
// it.
func (b *CircuitBreaker) begin(now time.Time) grant {
	e := b.epoch.Load()
	if e.state == Open && b.cfg.TrialShare == 0 {
		b.enter(newHalfOpen(&b.cfg, e.generation+1))
	}
	b.owed = false
	b.credit = 0
	b.lastTrial = now
	b.drawCooldown()
	b.trialID++
	b.trials = append(b.trials, trial{b.trialID, now.Add(b.cfg.TrialTimeout)})
	g := grant{epoch: b.epoch.Load(), trial: b.trialID}
	if b.cfg.SlowCall > 0 {
		g.began = sinceBase()
	}
	return g
}

// expire frees the slots of trials that hang.
func (b *CircuitBreaker) expire(now time.Time) {
	n := 0
	for n < len(b.trials) && !b.trials[n].expires.After(now) {
		n++
	}
	b.trials = b.trials[n:]
}

// endSlot frees the slot of one trial; false if it had expired.
func (b *CircuitBreaker) endSlot(id uint64) bool {
	for i, t := range b.trials {
		if t.id == id {
			b.trials = append(b.trials[:i], b.trials[i+1:]...)
			return true
		}
	}
	return false
}

// drawCooldown grows with the number of openings in a row, but not with
// TrialShare.
func (b *CircuitBreaker) drawCooldown() {
	grown := float64(b.cfg.Cooldown)
	if b.cfg.TrialShare == 0 {
		grown = min(math.Ldexp(grown, b.failed-1), float64(b.cfg.MaxCooldown))
	}
	b.cooldown = grown * (1 - 0.1*rand.Float64())
}

// open leaves e, closed or half-open, for a new opening.
func (b *CircuitBreaker) open(e *epoch, now time.Time) {
	b.failed++
	b.credit = 0
	b.lastTrial, b.lastAsk = now, now
	b.drawCooldown()
	next := newEpoch(Open, e.generation+1)
	c := e.counts()
	next.kept = &c
	b.enter(next)
}

// enter swaps the epoch. What still runs of the one before is late from now on.
func (b *CircuitBreaker) enter(next *epoch) {
	was := b.epoch.Load()
	b.owed = false
	b.trials = nil
	b.epoch.Store(next)
	close(was.ended)
}

// endTrial is the end of a trial, without mu.
func (b *CircuitBreaker) endTrial(ctx context.Context, g *grant, o Outcome) {
	b.mu.Lock()
	e := b.epoch.Load()
	if e != g.epoch || !b.endSlot(g.trial) {
		b.mu.Unlock()
		return
	}
	action, reason := b.judge(e, o)
	b.mu.Unlock()
	if action != "" {
		b.transition(ctx, e, action, reason)
	}
}

// judge draws the consequence of a trial's outcome.
func (b *CircuitBreaker) judge(e *epoch, o Outcome) (Action, Reason) {
	switch {
	case o == Ignored:
		b.owed = true
	case e.state == HalfOpen && o == Success:
		if e.failures.note(true) {
			return b.closeAfterTrials(e)
		}
	case e.state == HalfOpen:
		e.failures.note(false)
		b.open(e, time.Now())
		return ActionOpen, ReasonTrialFailed
	case o == Success: // of an open breaker, by TrialShare
		next := newHalfOpen(&b.cfg, e.generation+1)
		if next.failures.note(true) {
			return b.closeAfterTrials(e)
		}
		b.enter(next)
		return ActionHalfOpen, ReasonTrialSucceeded
	}
	return "", ""
}

func (b *CircuitBreaker) closeAfterTrials(e *epoch) (Action, Reason) {
	b.failed = 0
	e.kept = &counts{calls: b.cfg.SuccessThreshold} // the engine has begun a new window
	b.enter(newClosed(&b.cfg, e.generation+1))
	return ActionClose, ReasonTrialsSucceeded
}
