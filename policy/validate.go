package policy

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Faults collects what is wrong with a configuration, so that all of it is
// reported at once. The zero value is ready.
type Faults struct{ errs []error }

// Addf adds a fault at path, such as "retry.multiplier".
func (f *Faults) Addf(path, format string, args ...any) {
	f.errs = append(f.errs, &fieldError{path, fmt.Errorf(format, args...)})
}

// Add adds every fault in err, a Validate result, with path before its own;
// an empty path adds them as they are. A nil err adds nothing.
func (f *Faults) Add(path string, err error) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			f.Add(path, e)
		}
		return
	}
	f.errs = append(f.errs, under(path, err))
}

// Err returns all faults as one error, a line each, or nil.
func (f *Faults) Err() error { return errors.Join(f.errs...) }

type fieldError struct {
	path string
	err  error
}

func (e *fieldError) Error() string {
	if e.path == "" { // the whole config is at fault
		return e.err.Error()
	}
	return e.path + ": " + e.err.Error()
}

func (e *fieldError) Unwrap() error { return e.err }

// under puts path before that of err. Only a bare fault has one: what wraps a
// fault adds words of its own.
func under(path string, err error) error {
	fault, ok := err.(*fieldError)
	switch {
	case path == "":
		return err
	case !ok:
		return &fieldError{path, err}
	case fault.path == "":
		return &fieldError{path, fault.err}
	}
	return &fieldError{path + "." + fault.path, fault.err}
}

// The checks that the configs share; each names the offending value.

func (f *Faults) notNegative(path string, v int) {
	if v < 0 {
		f.Addf(path, "%d: must be ≥ 0", v)
	}
}

func (f *Faults) notNegativeTime(path string, v time.Duration) {
	if v < 0 {
		f.Addf(path, "%v: must be ≥ 0", v)
	}
}

// share checks a fraction in [0, 1]; NaN and infinities are none.
func (f *Faults) share(path string, v float64) {
	if math.IsNaN(v) || v < 0 || v > 1 {
		f.Addf(path, "%v: must be between 0 and 1", v)
	}
}

// finite checks a number that may be negative, for "no bound".
func (f *Faults) finite(path string, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		f.Addf(path, "%v: must be a finite number", v)
	}
}

// atLeast checks a finite number that is zero, for the default, or ≥ low.
func (f *Faults) atLeast(path string, v, low float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) || (v != 0 && v < low) {
		f.Addf(path, "%v: must be ≥ %v", v, low)
	}
}

// must is for constructors that fit in a literal: it panics on what Validate
// reports.
func must(what string, err error) {
	if err != nil {
		panic(fmt.Errorf("magnetar: invalid %s:\n%w", what, err))
	}
}

// or returns v, or def when v is the zero value.
func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
