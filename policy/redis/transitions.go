package redislimit

import (
	"context"
	"sync"

	"github.com/magnetar-go/magnetar/policy"
)

// transitions tells the observer how the breaker changes, one after the other and
// apart from the trips: callers who wait for their results must not wait for it. It
// leaves out that the breaker admits or refuses a trip: what becomes of the calls is
// told elsewhere.
type transitions struct {
	options options

	mu sync.Mutex
	// Guarded by mu:
	queue   []transition
	telling bool // somebody empties the queue
}

type transition struct {
	ctx      context.Context
	decision policy.Decision
}

func (t *transitions) Observe(ctx context.Context, d policy.Decision) {
	switch d.Action {
	case policy.ActionOpen, policy.ActionHalfOpen, policy.ActionClose:
	default:
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append(t.queue, transition{context.WithoutCancel(ctx), d})
	if !t.telling {
		t.telling = true
		go t.tellAll()
	}
}

// tellAll ends with the queue. If the observer panics or ends the goroutine, another
// goes on: there is no caller who could be told of it.
func (t *transitions) tellAll() {
	done := false
	defer func() {
		if !done {
			_ = recover()
			go t.tellAll()
		}
	}()
	for next, ok := t.next(); ok; next, ok = t.next() {
		if t.options.wants(next.ctx) {
			t.options.observer.Observe(next.ctx, next.decision)
		}
	}
	done = true
}

// next is what is to be told; if there is nothing, the caller is to end.
func (t *transitions) next() (transition, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		t.queue, t.telling = nil, false
		return transition{}, false
	}
	next := t.queue[0]
	t.queue = t.queue[1:]
	return next, true
}
