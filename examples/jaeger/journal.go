package main

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// journal is what happened in a story, told by others than the spans.
type journal struct {
	mu        sync.Mutex
	decisions []decided
	visits    []visit
	changed   chan struct{} // closed at the next entry
}

// decided is a decision, and the span in whose context it was told.
type decided struct {
	policy.Decision

	service string
	parent  trace.SpanContext // not valid: in the background
}

// visit is a request to stock, as it saw it.
type visit struct {
	instance     int
	header       http.Header
	span         trace.SpanContext // of the server
	began, ended time.Time
	status       int
}

func newJournal() *journal { return &journal{changed: make(chan struct{})} }

// of returns the observer of a service.
func (j *journal) of(service string) policy.Observer {
	return policy.ObserverFunc(func(ctx context.Context, d policy.Decision) {
		j.enter(func() { j.decisions = append(j.decisions, decided{d, service, trace.SpanContextFromContext(ctx)}) })
	})
}

func (j *journal) visited(v visit) {
	j.enter(func() { j.visits = append(j.visits, v) })
}

func (j *journal) enter(write func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	write()
	close(j.changed)
	j.changed = make(chan struct{})
}

// longest is how long the longest of some decisions took.
func (j *journal) longest(policyName string, action policy.Action) time.Duration {
	var most time.Duration
	for _, d := range j.all(policyName, action) {
		most = max(most, d.Took)
	}
	return most
}

func (j *journal) all(policyName string, action policy.Action) []decided {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []decided
	for _, d := range j.decisions {
		if d.Policy == policyName && d.Action == action {
			found = append(found, d)
		}
	}
	return found
}

// told returns all decisions, and answered all visits, in their order.
func (j *journal) told() []decided {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.decisions)
}

func (j *journal) answered() []visit {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.visits)
}

// visitors is how many requests an instance of stock has answered.
func (j *journal) visitors(instance int) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, v := range j.visits {
		if v.instance == instance {
			n++
		}
	}
	return n
}

// await waits until a decision has been told.
func (j *journal) await(ctx context.Context, policyName string, action policy.Action) error {
	for {
		j.mu.Lock()
		changed := j.changed
		j.mu.Unlock()
		if len(j.all(policyName, action)) > 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
