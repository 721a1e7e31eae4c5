package pool

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// LeakError tells, as the Err of a decision with [policy.ActionLeak], of a lease
// that has not ended within LeakAfter.
type LeakError struct {
	Held  time.Duration // how long it has been out
	Stack string        // who took it: a function and its file and line by turns
}

// Error names how long the lease has been out, and who took it.
func (e *LeakError) Error() string {
	return fmt.Sprintf("a connection has been out for %v; it was taken by\n%s", e.Held.Round(time.Millisecond), e.Stack)
}

// taken is where and when a connection was lent.
type taken struct {
	ctx   context.Context
	at    int64
	stack []uintptr
	told  bool
}

type leak struct {
	taken taken
	err   *LeakError
	age   time.Duration
}

// track notes who has taken a connection.
func (p *Pool[T]) track(ctx context.Context, l Lease[T]) {
	pcs := make([]uintptr, 32)
	t := &taken{ctx: ctx, at: p.now(), stack: pcs[:runtime.Callers(4, pcs)]}
	p.mu.Lock()
	defer p.mu.Unlock()
	l.conn.taken = t
	if at := later(t.at, int64(p.cfg.LeakAfter)); at < p.wakeAt {
		p.wake(at, t.at)
	}
}

// findLeaks returns the leases that have been out for too long, each once.
func (p *Pool[T]) findLeaks(now int64) []leak {
	if p.cfg.LeakAfter == 0 {
		return nil
	}
	var leaks []leak
	for _, c := range p.conns {
		t := c.taken
		if t == nil || t.told || now < later(t.at, int64(p.cfg.LeakAfter)) {
			continue
		}
		t.told = true
		p.count.leaked++
		leaks = append(leaks, leak{*t, &LeakError{Held: time.Duration(now - t.at)}, age(c.created, now)})
	}
	return leaks
}

// nextLeak is when the next may be found.
func (p *Pool[T]) nextLeak() int64 {
	at := int64(math.MaxInt64)
	if p.cfg.LeakAfter == 0 {
		return at
	}
	for _, c := range p.conns {
		if t := c.taken; t != nil && !t.told {
			at = min(at, later(t.at, int64(p.cfg.LeakAfter)))
		}
	}
	return at
}

func (p *Pool[T]) tellLeaks(leaks []leak) {
	for _, l := range leaks {
		l.err.Stack = stackOf(l.taken.stack)
		p.watch.Note(l.taken.ctx, policy.Decision{
			Action: policy.ActionLeak, Err: l.err, Age: l.age, Took: l.err.Held,
		})
	}
}

func stackOf(pcs []uintptr) string {
	var b strings.Builder
	frames := runtime.CallersFrames(pcs)
	for {
		f, more := frames.Next()
		fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		if !more {
			return b.String()
		}
	}
}
