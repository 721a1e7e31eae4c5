package policy

import (
	"container/list"
	"context"
	"time"
)

// waiter is a caller who waits for its turn.
type waiter struct {
	moved chan struct{} // told, at most once at a time, that its turn is another

	// Guarded by the limiter's mu:

	place    *list.Element
	schedule *schedule // that gave the turn
	turn     turn
	latest   time.Time
	refused  bool
}

// answer is what a caller gets who asks for a turn: to leave, to wait, or else
// to pass.
type answer struct {
	limit   int
	wait    time.Duration // also when refused: what it would have been
	refused bool
	waiter  *waiter
}

// takeFree is the short way in, without a clock.
func (r *RateLimiter) takeFree() (limit int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.schedule.takeFree() {
		return 0, false
	}
	r.admitted++
	return r.schedule.config.Limit, true
}

// book takes the next turn if it comes within most and before the deadline,
// where there is one.
func (r *RateLimiter) book(most time.Duration, deadline time.Time) answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	latest := now.Add(most)
	if !deadline.IsZero() && !deadline.After(latest) {
		latest = deadline.Add(-1)
	}
	r.follow(r.schedule.renewed(now), now)
	t, ok := r.schedule.book(now, latest)
	a := answer{limit: r.schedule.config.Limit, wait: max(0, t.due.Sub(now))}
	switch {
	case !ok:
		a.refused = true
		r.refused++
	case a.wait == 0:
		r.admitted++
	default:
		w := &waiter{moved: make(chan struct{}, 1), schedule: r.schedule, turn: t, latest: latest}
		w.place = r.line.PushBack(w)
		a.waiter = w
	}
	return a
}

// lineUp is the long way in.
func (r *RateLimiter) lineUp(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	a := r.book(r.maxWait, deadline)
	if a.waiter != nil {
		began := time.Now()
		var err error
		a, err = r.wait(ctx, a)
		if r.watch.wants(ctx) {
			r.tell(ctx, waited(Decision{Limit: a.limit, Began: began, Err: err}))
		}
		if err != nil {
			return err
		}
	}
	if a.refused {
		return r.refuse(ctx, a)
	}
	if r.watch.wants(ctx) {
		r.tell(ctx, Decision{Action: ActionAdmit, Limit: a.limit})
	}
	return nil
}

// waited is the decision d on a wait that has just ended.
func waited(d Decision) Decision {
	d.Action, d.Took = ActionWait, time.Since(d.Began)
	if d.Err != nil {
		d.Reason = ReasonCanceled
	}
	return d
}

// wait returns the answer that a waiter gets in the end, or the cause of ctx.
func (r *RateLimiter) wait(ctx context.Context, a answer) (answer, error) {
	w := a.waiter
	timer := time.NewTimer(a.wait)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-w.moved:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			r.leave(w)
			return a, context.Cause(ctx)
		}
		if a = r.settle(w); a.waiter == nil {
			return a, nil
		}
		timer.Reset(a.wait)
	}
}

// settle lets a waiter pass whose turn has come.
func (r *RateLimiter) settle(w *waiter) answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := answer{limit: r.schedule.config.Limit, wait: max(0, time.Until(w.turn.due))}
	switch {
	case w.refused:
		a.refused = true
	case a.wait == 0:
		r.line.Remove(w.place)
		r.admitted++
	default:
		a.waiter = w
	}
	return a
}

// leave gives back the turn of a waiter who does not want it any more.
func (r *RateLimiter) leave(w *waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.refused {
		return
	}
	r.line.Remove(w.place)
	r.canceled++
	if w.schedule == r.schedule {
		r.schedule.giveBack(w.turn)
	}
}

// resize goes on with another limit, and reports whether it is another.
func (r *RateLimiter) resize(n int) (changed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.schedule.config
	if c.Limit == n {
		return false, nil
	}
	c.Limit = n
	if err := c.Validate(); err != nil {
		return false, err
	}
	now := time.Now()
	r.follow(r.schedule.renewed(now), now)
	r.follow(r.schedule.resized(n, now), now)
	return true, nil
}

// follow goes on with schedule s and gives those who wait their turns by it;
// turns that have come are counted in s already. mu must be held.
func (r *RateLimiter) follow(s *schedule, now time.Time) {
	if s == r.schedule {
		return
	}
	r.schedule = s
	for e := r.line.Front(); e != nil; {
		w := e.Value.(*waiter)
		e = e.Next()
		if !w.turn.due.After(now) {
			continue
		}
		var ok bool
		w.schedule = s
		if w.turn, ok = s.book(now, w.latest); !ok {
			w.refused = true
			r.line.Remove(w.place)
			r.refused++
		}
		select {
		case w.moved <- struct{}{}:
		default:
		}
	}
}

func (r *RateLimiter) refuse(ctx context.Context, a answer) error {
	err := &Error{Reason: ReasonRateLimit, Policy: PolicyRateLimit, Key: r.key, RetryAfter: a.wait}
	if r.watch.wants(ctx) {
		r.tell(ctx, Decision{Action: ActionRefuse, Reason: ReasonRateLimit, Limit: a.limit, RetryAfter: a.wait, Err: err})
	}
	return err
}
