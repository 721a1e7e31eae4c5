package otel

import (
	"cmp"
	"slices"

	"github.com/magnetar-go/magnetar/policy"
)

// standings are the statuses of one moment, by the list that they are shown in.
type standings struct{ breakers, limits, budgets, pools, endpoints urgent }

func (all *standings) add(s policy.Status) {
	switch {
	case s.Policy == policy.PolicyBreaker:
		all.breakers.add(ranked{s, stateUrgency[s.State], float64(s.Failures)})
	case s.Policy == policy.PolicyRetry:
		all.budgets.add(ranked{s, -finite(s.Tokens), 0})
	case s.Policy == policy.PolicyPool && s.State == "":
		all.pools.add(ranked{s, float64(s.Queued), share(s.Active, s.Limit)})
	case s.Policy == policy.PolicyPool:
		all.endpoints.add(ranked{s, stateUrgency[s.State], float64(s.Failures)})
	case s.Policy == policy.PolicyThrottle && s.RetryAfter == 0: // as good as not there
	default:
		all.limits.add(ranked{s, float64(s.RetryAfter) + float64(s.Queued), share(s.InFlight, s.Limit)})
	}
}

var stateUrgency = map[string]float64{"open": 2, "half_open": 1, "ejected": 2, "slow_start": 1}

func share(n, of int) float64 { return float64(n) / float64(max(1, of)) }

// ranked is a status and how urgent it is, the first figure before the second.
type ranked struct {
	policy.Status

	first, second float64
}

// before orders by urgency, then by name.
func (r *ranked) before(other *ranked) int {
	return cmp.Or(
		cmp.Compare(other.first, r.first), cmp.Compare(other.second, r.second),
		cmp.Compare(r.Key, other.Key), cmp.Compare(r.Endpoint, other.Endpoint), cmp.Compare(r.Policy, other.Policy),
	)
}

// urgent keeps the rowsMax most urgent of any number.
type urgent struct {
	kept []ranked // up to twice as many, so as to sort them seldom
	cut  bool     // kept[rowsMax-1] is the last that matters
	seen int
}

func (f *urgent) add(r ranked) {
	f.seen++
	if f.cut && r.before(&f.kept[rowsMax-1]) > 0 {
		return
	}
	f.kept = append(f.kept, r)
	if len(f.kept) == 2*rowsMax {
		f.sort()
		f.kept, f.cut = f.kept[:rowsMax], true
	}
}

// taken returns them in order, and how many were left.
func (f *urgent) taken() (most []ranked, left int) {
	f.sort()
	most = f.kept[:min(len(f.kept), rowsMax)]
	return most, f.seen - len(most)
}

func (f *urgent) sort() {
	slices.SortFunc(f.kept, func(a, b ranked) int { return a.before(&b) })
}
