package pool

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// grace is how long, after its time, what a factory's method returns is waited
// for: one that obeys its context says better than we do what it was about.
const grace = 5 * time.Millisecond

var (
	errHangs          = errors.New("it goes on after its time")
	errEndedGoroutine = errors.New("it called runtime.Goexit")
)

// panicError is a panic of the user's code.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("it panicked: %v", e.value) }

func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}

// within runs f in a goroutine of its own, for it is the user's and may hang,
// panic or end its goroutine, and waits for it until ctx ends. What f makes
// after that goes to late.
func within[V any](ctx context.Context, f func(context.Context) (V, error), late func(V)) (V, error) {
	type result struct {
		value V
		err   error
	}
	results, gone := make(chan result), make(chan struct{})
	go func() {
		r := result{err: errEndedGoroutine}
		defer func() {
			if v := recover(); v != nil {
				r = result{err: &panicError{v}}
			}
			select {
			case results <- r:
			case <-gone:
				if r.err == nil {
					late(r.value)
				}
			}
		}()
		r.value, r.err = f(ctx)
	}()

	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case r := <-results:
		return r.value, r.err
	case <-timer.C:
		close(gone)
		var none V
		return none, errHangs
	}
}

// broken reports whether err is of code that did not return in order.
func broken(err error) bool {
	_, panicked := errors.AsType[*panicError](err)
	return panicked || errors.Is(err, errEndedGoroutine)
}

// run is [within] for what makes nothing.
func run(ctx context.Context, f func(context.Context) error) error {
	_, err := within(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f(ctx)
	}, func(struct{}) {})
	return err
}
