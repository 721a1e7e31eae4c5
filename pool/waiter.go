package pool

import (
	"context"

	"github.com/magnetar-go/magnetar/policy"
)

// waiter is a caller who waits for a connection.
type waiter[T any] struct {
	ready chan struct{} // told once the caller has left the queue, unless by itself

	ctx      context.Context
	began    int64
	patience patience

	// The outcome, set before ready is told: one of these.

	conn *conn[T]
	why  policy.Reason // it is refused
	err  error         // nothing can be made

	queued     bool
	prev, next *waiter[T] // in the queue; next also among those to be told
}

// patience is what a caller waits for.
type patience uint8

const (
	forAny  patience = iota
	forIdle          // only while one that is there already is checked
)

// queue is those who wait, the first come first. The zero value is empty.
type queue[T any] struct {
	first, last *waiter[T]
	len         int
	forIdle     int // of them
}

func (q *queue[T]) push(w *waiter[T]) {
	w.queued = true
	w.prev, w.next = q.last, nil
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
	q.len++
	if w.patience == forIdle {
		q.forIdle++
	}
}

func (q *queue[T]) remove(w *waiter[T]) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.queued = false
	w.prev, w.next = nil, nil
	q.len--
	if w.patience == forIdle {
		q.forIdle--
	}
}

// told is those whose outcome is set, to be told once nothing is locked.
type told[T any] struct{ first, last *waiter[T] }

func (t *told[T]) add(w *waiter[T]) {
	if t.last == nil {
		t.first = w
	} else {
		t.last.next = w
	}
	t.last = w
}

func (t *told[T]) tell() {
	for w := t.first; w != nil; {
		next := w.next // w is its caller's again once it is told
		w.next = nil
		w.ready <- struct{}{}
		w = next
	}
}
