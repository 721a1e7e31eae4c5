package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/magnetar-go/magnetar/policy"
)

// tally is what became of the calls that met a fault.
type tally struct {
	name     string
	offered  int // calls
	answered int // rightly
	repeated int // requests beyond one for each call
	lost     int // calls that were not answered, or wrongly
	err      error
}

func (t *tally) String() string {
	line := fmt.Sprintf("fault: %-42s offered %4d  answered %4d  repeated %3d  lost %d",
		t.name, t.offered, t.answered, t.repeated, t.lost)
	if t.err != nil {
		line += "\n       " + t.err.Error()
	}
	return line
}

// count adds a call; the first error is kept.
func (t *tally) count(err error) {
	t.offered++
	if err == nil {
		t.answered++
		return
	}
	t.lost++
	if t.err == nil {
		t.err = err
	}
}

// add adds another's figures.
func (t *tally) add(o *tally) {
	t.offered += o.offered
	t.answered += o.answered
	t.repeated += o.repeated
	t.lost += o.lost
}

// events counts decisions by policy and action.
type events struct {
	mu      sync.Mutex
	changed chan struct{}
	counts  map[event]int
}

type event struct {
	policy string
	action policy.Action
}

func newEvents() *events {
	return &events{changed: make(chan struct{}), counts: make(map[event]int)}
}

// Observe makes it a [policy.Observer].
func (e *events) Observe(_ context.Context, d policy.Decision) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counts[event{d.Policy, d.Action}]++
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *events) count(name string, action policy.Action) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts[event{name, action}]
}

// await returns when a decision has been taken.
func (e *events) await(ctx context.Context, name string, action policy.Action) error {
	for {
		e.mu.Lock()
		n, changed := e.counts[event{name, action}], e.changed
		e.mu.Unlock()
		if n > 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("no %s of the %s: %w", action, name, ctx.Err())
		}
	}
}
