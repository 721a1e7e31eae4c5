package pool

import (
	"context"

	"github.com/magnetar-go/magnetar/policy"
)

// supply begins what those who wait and MinIdle need: checks of idle
// connections, and new ones. It is called after everything that changes how many
// there are of any of them. cause is the request that led to it, or any context.
func (p *Pool[T]) supply(cause context.Context, now int64, t *told[T]) {
	if p.closed {
		return
	}
	for p.waiting.len > p.owed && len(p.idle) > 0 {
		if c := p.takeFresh(); c != nil {
			w := p.waiting.first
			p.hand(c, w, now)
			t.add(w)
			continue
		}
		p.startCheck(cause, p.takeLast())
	}
	if p.waiting.forIdle > 0 {
		p.dismissForIdle(cause, now, t)
	}
	for p.wanted() > 0 && p.mayCreate(now) {
		p.startCreate(cause)
	}
}

// wanted is how many more are to be made, if positive. Where a check has failed,
// those who wait do not count on the others: they may be as dead.
func (p *Pool[T]) wanted() int {
	callers := p.waiting.len - p.waiting.forIdle
	missing := callers + p.minIdle - len(p.idle) - p.checking
	if p.doubt {
		missing = max(missing, callers)
	}
	return max(missing, callers-p.owed-len(p.idle)) - (p.creating - p.outdated)
}

// mayCreate reports whether one more may be made now. If it only has to wait for
// the pause after a failure, it sees to it that it is tried again then.
func (p *Pool[T]) mayCreate(now int64) bool {
	most := p.cfg.MaxCreating
	if p.trouble.failures > 0 {
		most = 1
	}
	if !p.room() || p.creating >= most {
		return false
	}
	if now < p.trouble.until {
		if p.trouble.until < p.wakeAt {
			p.wake(p.trouble.until, now)
		}
		return false
	}
	return true
}

// dismissForIdle refuses those who wait for an idle connection only and for whom
// none is left, the last come first, and makes one for their next try.
func (p *Pool[T]) dismissForIdle(cause context.Context, now int64, t *told[T]) {
	dismissed := false
	for w := p.waiting.last; w != nil && p.waiting.len > p.checking; {
		earlier := w.prev
		if w.patience == forIdle {
			p.dismiss(w, policy.ReasonNoneIdle, t)
			dismissed = true
		}
		w = earlier
	}
	if dismissed && p.creating == p.outdated && p.mayCreate(now) {
		p.startCreate(cause)
	}
}

// longestWaiting is the context of the caller who came first, or none.
func (p *Pool[T]) longestWaiting() context.Context {
	if w := p.waiting.first; w != nil {
		return w.ctx
	}
	return context.Background()
}
