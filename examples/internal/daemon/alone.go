//go:build linux

package daemon

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
)

// Alone runs f as a test that belongs to no go test, so that a program may start
// a server as its tests do. The error is all that f reports, until ctx ends, and then
// why that did; where the server is not installed it says which package has it. What
// f leaves to Cleanup is done when Alone returns.
func Alone(ctx context.Context, f func(t testing.TB)) error {
	a := &alone{ctx: ctx}
	a.run(func() { f(a) })
	for len(a.cleanups) > 0 {
		last := len(a.cleanups) - 1
		cleanup := a.cleanups[last]
		a.cleanups = a.cleanups[:last]
		a.run(cleanup)
	}
	return errors.Join(a.errs...)
}

// alone is as much of a test as is needed here. It is for one goroutine.
type alone struct {
	testing.TB // which nobody else may implement

	ctx      context.Context
	errs     []error
	cleanups []func()
}

// run lets f end its goroutine.
func (a *alone) run(f func()) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		f()
	}()
	<-over
}

func (a *alone) Name() string                      { return "" }
func (a *alone) Helper()                           {}
func (a *alone) Context() context.Context          { return a.ctx }
func (a *alone) Cleanup(cleanup func())            { a.cleanups = append(a.cleanups, cleanup) }
func (a *alone) Failed() bool                      { return len(a.errs) > 0 }
func (a *alone) Logf(string, ...any)               {} // a program tells by itself what it does
func (a *alone) FailNow()                          { runtime.Goexit() }
func (a *alone) Fatalf(format string, args ...any) { a.Errorf(format, args...); a.FailNow() }
func (a *alone) Fatal(args ...any)                 { a.Errorf("%s", fmt.Sprint(args...)); a.FailNow() }
func (a *alone) Skip(args ...any)                  { a.Fatal(args...) }

// Errorf takes what fails after an interruption for its consequence, of which
// nobody wants to read.
func (a *alone) Errorf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if interrupted := context.Cause(a.ctx); interrupted != nil {
		err = interrupted
	}
	if !errors.Is(errors.Join(a.errs...), err) {
		a.errs = append(a.errs, err)
	}
}
