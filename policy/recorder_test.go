package policy_test

import (
	"context"
	"sync"

	"github.com/magnetar-go/magnetar/policy"
)

// recorder is an observer that keeps what it was told.
type recorder struct {
	mu  sync.Mutex
	all []policy.Decision
}

func (r *recorder) Observe(_ context.Context, d policy.Decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, d)
}

func (r *recorder) actions() []policy.Action {
	r.mu.Lock()
	defer r.mu.Unlock()
	var actions []policy.Action
	for _, d := range r.all {
		actions = append(actions, d.Action)
	}
	return actions
}

func (r *recorder) last() policy.Decision {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[len(r.all)-1]
}
