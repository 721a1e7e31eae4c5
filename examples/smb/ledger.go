package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// ledger is what became of calls.
type ledger struct {
	mu sync.Mutex
	// Guarded by mu:
	tally tally
	first error // that a call was lost with
}

type tally struct {
	offered, answered, repeated int
	lost                        int // calls that failed, or were answered wrongly
	unknown                     int // may have been done, and may not be repeated
}

// Observe makes a ledger a [policy.Observer] that counts repetitions.
func (l *ledger) Observe(_ context.Context, d policy.Decision) {
	if d.Policy == policy.PolicyRetry && d.Action == policy.ActionWait {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.tally.repeated++
	}
}

// enter makes a call and notes its end.
func (l *ledger) enter(call func() error) error {
	l.mu.Lock()
	l.tally.offered++
	l.mu.Unlock()
	err := call()
	l.mu.Lock()
	defer l.mu.Unlock()
	_, unknown := errors.AsType[*UnknownError](err)
	switch {
	case err == nil:
		l.tally.answered++
	case unknown:
		l.tally.unknown++
	default:
		l.tally.lost++
		if l.first == nil {
			l.first = err
		}
	}
	return err
}

func (l *ledger) now() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tally
}

// loss is nil if nothing was lost.
func (l *ledger) loss() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tally.lost == 0 {
		return nil
	}
	return fmt.Errorf("%d calls lost, the first with: %w", l.tally.lost, l.first)
}

// await waits until as much has happened since before, or something is lost.
func (l *ledger) await(ctx context.Context, before, more tally) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		now := l.now()
		if err := l.loss(); err != nil {
			return err
		}
		if now.answered-before.answered >= more.answered && now.repeated-before.repeated >= more.repeated {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w, after %d answers and %d repetitions", context.Cause(ctx),
				now.answered-before.answered, now.repeated-before.repeated)
		}
	}
}

func (t tally) String() string {
	line := fmt.Sprintf("offered %d  answered %d  repeated %d  lost %d", t.offered, t.answered, t.repeated, t.lost)
	if t.unknown > 0 {
		line += fmt.Sprintf("  unknown %d", t.unknown)
	}
	return line
}
