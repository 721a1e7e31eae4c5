package pool

import "github.com/magnetar-go/magnetar/policy"

// rotation is the endpoints of a target that get requests. It is never changed,
// but replaced by another.
type rotation struct {
	usable  []*endpoint
	healthy int
	// panicking says that too few are healthy for health to be looked at.
	panicking bool
}

// newRotation of all endpoints, in panic when a lesser share than threshold is
// healthy, or none.
func newRotation(all []*endpoint, threshold float64) *rotation {
	healthy := make([]*endpoint, 0, len(all))
	for _, e := range all {
		if !e.health.ejected {
			healthy = append(healthy, e)
		}
	}
	r := &rotation{usable: healthy, healthy: len(healthy)}
	if len(healthy) < len(all) && (len(healthy) == 0 || float64(len(healthy)) < threshold*float64(len(all))) {
		r.usable, r.panicking = append([]*endpoint(nil), all...), true
	}
	return r
}

// pick chooses the endpoint for a call that has been at those in avoid. The error
// is the balancer's, and does not matter to the call.
func (r *rotation) pick(b Balancer, avoid *policy.Avoid, at moment) (*endpoint, error) {
	if len(r.usable) == 0 {
		return nil, nil
	}
	list := prefer(r.usable, (*endpoint).hasRoom)
	if !avoid.Empty() {
		list = prefer(list, func(e *endpoint) bool { return !avoid.Has(e.address) })
	}
	return choose(b, Candidates{list, at})
}

// prefer returns those of list that are good, or list itself if none or all are.
func prefer(list []*endpoint, good func(*endpoint) bool) []*endpoint {
	n := 0
	for _, e := range list {
		if good(e) {
			n++
		}
	}
	if n == 0 || n == len(list) {
		return list
	}
	preferred := make([]*endpoint, 0, n)
	for _, e := range list {
		if good(e) && len(preferred) < n { // what is good may have changed meanwhile
			preferred = append(preferred, e)
		}
	}
	if len(preferred) == 0 {
		return list
	}
	return preferred
}
