package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// events are the pool's decisions that change something.
type events struct {
	began time.Time

	mu sync.Mutex
	// Guarded by mu:
	list    []event
	retired map[policy.Reason]int // connections
}

type event struct {
	at time.Duration
	policy.Decision
}

func newEvents() *events { return &events{began: time.Now(), retired: make(map[policy.Reason]int)} }

// Observe makes events a [policy.Observer].
func (e *events) Observe(_ context.Context, d policy.Decision) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch d.Action {
	case policy.ActionRetire:
		e.retired[d.Reason]++
	case policy.ActionEject, policy.ActionReturn, policy.ActionRotate, policy.ActionResolve:
		e.list = append(e.list, event{time.Since(e.began), d})
	}
}

func (e *events) all() []event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.list
}

// count is how many there were of an action, at an address or everywhere.
func (e *events) count(action policy.Action, address string) int {
	n := 0
	for _, one := range e.all() {
		if one.Action == action && (address == "" || one.Endpoint == address) {
			n++
		}
	}
	return n
}

// retirements is how many connections left the pool, by reason.
func (e *events) retirements() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var reasons []string
	for why, n := range e.retired {
		reasons = append(reasons, fmt.Sprintf("%s %d", why, n))
	}
	slices.Sort(reasons)
	return fmt.Sprint(reasons)
}

func (e event) String() string {
	text := fmt.Sprintf("%5.1f s  %-8s %s", e.at.Seconds(), e.Action, cmp.Or(e.Endpoint, e.Key))
	if e.Reason != "" {
		text += "  " + string(e.Reason)
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(", for %v", e.RetryAfter.Round(100*time.Millisecond))
	}
	if e.Err != nil {
		text += fmt.Sprintf(" (%v)", e.Err)
	}
	return text
}

// lastEjection is why a server was ejected the last time.
func (e *events) lastEjection(address string) policy.Reason {
	var why policy.Reason
	for _, one := range e.all() {
		if one.Action == policy.ActionEject && one.Endpoint == address {
			why = one.Reason
		}
	}
	return why
}
