package middleware

import (
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

const (
	// stallAfter is how long a client may keep a request waiting until its place
	// is given to others.
	stallAfter = 50 * time.Millisecond
	// heldBack is how much of a response net/http buffers for sure: nothing of it
	// waits for the client.
	heldBack = 2 << 10
)

// stall is the time that a request waits for its client.
type stall struct {
	calls  int // of the writer and the body that wait now
	since  time.Time
	paused bool
}

// buffered counts n bytes more of the response, and reports whether writing
// them cannot block.
func (x *exchange) buffered(n int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.sent > heldBack {
		return false
	}
	x.sent += n
	return x.sent <= heldBack
}

// block notes that a call which may wait for the client begins.
func (x *exchange) block() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.waiting.calls++
	switch {
	case !x.sampled:
	case x.waiting.calls > 1:
		x.dropped = true // where two wait, nobody can tell what the handler does
	default:
		x.waiting.since = time.Now()
		x.arm(x.waiting.since, stallAfter)
	}
}

// unblock notes that it has ended.
func (x *exchange) unblock() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.waiting.calls--
	if x.waiting.calls > 0 || !x.sampled {
		return
	}
	x.waiting.exclude(x)
	if x.waiting.paused {
		x.waiting.resume(x)
	}
}

// exclude leaves the wait out of the request's time. The exchange's mu must be
// held for this and what follows.
func (s *stall) exclude(x *exchange) {
	if s.since.IsZero() {
		return
	}
	x.ticket.permit.Exclude(time.Since(s.since))
	s.since = time.Time{}
}

// pause gives the request's place to others, if there is one in the streams'
// lane meanwhile.
func (s *stall) pause(x *exchange) {
	if !x.placed && !x.take() {
		return
	}
	s.paused = true
	x.ticket.permit.Pause()
	x.shedder.figures.stalls.Add(1)
}

func (s *stall) resume(x *exchange) {
	s.paused = false
	x.ticket.permit.Resume()
	if !x.ticket.claimed {
		x.ticket.place.Done(x.told, policy.Ignored)
		x.placed = false
	}
}

// arm sees to it that tick runs in d; mu must be held.
func (x *exchange) arm(now time.Time, d time.Duration) {
	due := now.Add(d)
	switch {
	case x.timer == nil:
		x.timer = time.AfterFunc(d, x.tick)
	case x.timerDue.IsZero() || due.Before(x.timerDue):
		x.timer.Reset(d)
	default:
		return
	}
	x.timerDue = due
}

// tick looks whether the client keeps the request waiting, or the request is a
// stream. It comes too early where a wait ended in between, so that a call need
// not touch the timer.
func (x *exchange) tick() {
	if x.overdue(time.Now()) {
		x.leave()
	}
}

// overdue reports whether the request is a stream by now.
func (x *exchange) overdue(now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.timerDue = time.Time{}
	if !x.sampled {
		return false
	}
	if s := &x.waiting; !s.since.IsZero() && !s.paused {
		if rest := stallAfter - now.Sub(s.since); rest > 0 {
			x.arm(now, rest)
		} else {
			s.pause(x)
		}
	}
	if x.flushed.IsZero() {
		return false
	}
	rest := streamAfter - now.Sub(x.flushed)
	if rest > 0 {
		x.arm(now, rest)
	}
	return rest <= 0
}
