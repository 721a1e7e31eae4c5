package transport

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// lazy is the cancellation of a context that most often nobody asks for: its
// channel and its one timer are made by the first Done. From then on a standard
// context stands behind it, so that children attach to it without goroutines.
type lazy struct {
	parent context.Context
	armed  atomic.Bool // inner is set, for good

	mu     sync.Mutex
	inner  context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	over   bool
	uncut  func() bool // takes back the cut
}

// clocked tells a lazy context when it ends by time.
type clocked interface {
	// expire returns how long there still is, or why time is up. A negative
	// time has no end.
	expire() (time.Duration, error)
	// cut returns what must be stopped by hand when it ends; nil: nothing.
	cut() func()
}

// arm makes the channel and the timer.
func (l *lazy) arm(c clocked) context.Context {
	if l.armed.Load() {
		return l.inner
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner != nil {
		return l.inner
	}
	l.inner, l.cancel = context.WithCancelCause(l.parent)
	l.armed.Store(true)
	if l.over {
		l.cancel(context.Canceled)
		return l.inner
	}
	if cut := c.cut(); cut != nil {
		l.uncut = context.AfterFunc(l.inner, cut)
	}
	wait, cause := c.expire()
	if cause != nil {
		l.over = true
		l.cancel(cause)
	} else if wait >= 0 {
		l.timer = time.AfterFunc(wait, func() { l.fire(c) })
	}
	return l.inner
}

func (l *lazy) fire(c clocked) {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	wait, cause := c.expire()
	if cause == nil {
		if wait >= 0 {
			l.timer.Reset(wait)
		}
		l.mu.Unlock()
		return
	}
	l.over = true
	cancel := l.cancel
	l.mu.Unlock()
	cancel(cause)
}

// rearm takes account of a deadline that has moved; change runs under the lock,
// so that a timer that fires meanwhile sees all of it or nothing. It reports
// false when time was up before.
func (l *lazy) rearm(c clocked, change func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	change()
	if l.inner == nil {
		return true
	}
	wait, _ := c.expire()
	switch {
	case wait < 0 && l.timer != nil:
		l.timer.Stop()
	case wait >= 0 && l.timer != nil:
		l.timer.Reset(wait)
	case wait >= 0:
		l.timer = time.AfterFunc(wait, func() { l.fire(c) })
	}
	return true
}

// end frees everything. A Done that comes later is born cancelled.
func (l *lazy) end() {
	l.mu.Lock()
	l.over = true
	cancel, timer, uncut := l.cancel, l.timer, l.uncut
	l.mu.Unlock()
	if uncut != nil {
		uncut()
	}
	if timer != nil {
		timer.Stop()
	}
	if cancel != nil {
		cancel(context.Canceled)
	}
}

// rest stops the timer for good and leaves the context as it is.
func (l *lazy) rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.timer != nil {
		l.timer.Stop()
	}
}

// cause is why the context has ended, or nil.
func (l *lazy) cause() error {
	if l.armed.Load() {
		return context.Cause(l.inner)
	}
	return context.Cause(l.parent)
}

func (l *lazy) value(k any) any {
	if l.armed.Load() {
		return l.inner.Value(k)
	}
	return l.parent.Value(k)
}
