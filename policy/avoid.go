package policy

import (
	"context"
	"slices"
	"sync"
)

// Avoid is the endpoints that one call has tried already, so that its next try
// goes elsewhere where it can. What chooses endpoints adds to it and looks at
// it; what repeats tries carries it from one to the next. The zero value is
// ready; it is safe for concurrent use.
type Avoid struct {
	mu    sync.Mutex
	first string // most calls make one try
	more  []string
}

const avoidMax = 16 // beyond it a call has seen enough

// Add notes that a try goes to endpoint, such as "192.0.2.1:443".
func (a *Avoid) Add(endpoint string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.first == "":
		a.first = endpoint
	case len(a.more) < avoidMax-1 && a.first != endpoint && !slices.Contains(a.more, endpoint):
		a.more = append(a.more, endpoint)
	}
}

// Has reports whether a try went to endpoint. A nil Avoid has none.
func (a *Avoid) Has(endpoint string) bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.first == endpoint && endpoint != "" || slices.Contains(a.more, endpoint)
}

// Empty reports whether no try was made yet. A nil Avoid is empty.
func (a *Avoid) Empty() bool {
	if a == nil {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.first == ""
}

// AvoidKey is the key of the *[Avoid] in a context, for contexts of one's own
// that answer Value; others use [ContextWithAvoid].
type AvoidKey struct{}

// ContextWithAvoid returns a context whose tries share a.
func ContextWithAvoid(ctx context.Context, a *Avoid) context.Context {
	return context.WithValue(ctx, AvoidKey{}, a)
}

// AvoidFromContext returns what the tries in ctx share, or nil.
func AvoidFromContext(ctx context.Context) *Avoid {
	a, _ := ctx.Value(AvoidKey{}).(*Avoid)
	return a
}
