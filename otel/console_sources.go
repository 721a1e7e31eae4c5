package otel

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	api "go.opentelemetry.io/otel"

	"github.com/magnetar-go/magnetar/policy"
)

// sources are what the console looks at.
type sources struct {
	mu sync.Mutex
	// Guarded by mu:
	last    uint64
	byID    map[uint64]iter.Seq[policy.Status]
	refused map[uint64]struct{} // for want of room
}

const sourcesMax = 10_000

func (s *sources) add(statuses iter.Seq[policy.Status]) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID, s.refused = make(map[uint64]iter.Seq[policy.Status]), make(map[uint64]struct{})
	}
	s.last++
	id := s.last
	if len(s.byID) < sourcesMax {
		s.byID[id] = statuses
	} else {
		s.refused[id] = struct{}{}
	}
	return func() { s.remove(id) }
}

func (s *sources) remove(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
	delete(s.refused, id)
}

// unseen is how many are not looked at.
func (s *sources) unseen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.refused)
}

// each hands over every status of every source, in the order of their coming.
func (s *sources) each(take func(policy.Status)) {
	s.mu.Lock()
	ids := slices.Sorted(maps.Keys(s.byID))
	all := make([]iter.Seq[policy.Status], len(ids))
	for i, id := range ids {
		all[i] = s.byID[id]
	}
	s.mu.Unlock()
	for i, statuses := range all {
		if err := drain(statuses, take); err != nil {
			s.remove(ids[i])
			api.Handle(err)
		}
	}
}

// drain takes every status of a source, which is somebody's code: one that
// panics is not asked again.
func drain(statuses iter.Seq[policy.Status], take func(policy.Status)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("magnetar: what the console watches panicked: %v", p)
		}
	}()
	for s := range statuses {
		take(s)
	}
	return nil
}
