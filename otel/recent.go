package otel

import (
	"slices"
	"sync/atomic"
)

// recent is a short memory: what was added last, newest first. To read it takes
// no lock; of additions at the same time, some may be forgotten.
type recent[V any] struct{ list atomic.Pointer[[]V] }

const recentMax = 16

func (r *recent[V]) all() []V {
	if list := r.list.Load(); list != nil {
		return *list
	}
	return nil
}

func (r *recent[V]) add(v V) {
	old := r.all()
	list := slices.Concat([]V{v}, old[:min(len(old), recentMax-1)])
	r.list.Store(&list)
}
