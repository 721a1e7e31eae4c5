package middleware

import (
	"errors"
	"strconv"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// maxLimits is how many quotas a key may have, so that their levels fit on the
// stack.
const maxLimits = 8

// plan is what is in force from one update to the next.
type plan struct {
	number int           // of the plans so far
	since  time.Duration // on the ledger's clock
	grain  time.Duration
	source []namedLimit
	limits []policy.StoreLimit
	fields []string // the RateLimit-Policy field's value, shared by all responses
}

// newPlan returns the first plan. Units come back in a multiple of grain.
func newPlan(source []namedLimit, grain, since time.Duration) *plan {
	p := &plan{since: since, grain: grain, source: source, fields: []string{policyField(source)}}
	for _, l := range source {
		p.limits = append(p.limits, l.bucket(grain))
	}
	return p
}

// next returns the plan that follows p.
func (p *plan) next(source []namedLimit, since time.Duration) *plan {
	n := newPlan(source, p.grain, since)
	n.number = p.number + 1
	return n
}

// changed returns the limits with others' in place of those of the same name,
// and cfg in the first place.
func (p *plan) changed(cfg policy.RateLimiterConfig, others []namedLimit) ([]namedLimit, error) {
	limits := append([]namedLimit(nil), p.source...)
	limits[0].cfg = cfg
	var f policy.Faults
	for _, o := range others {
		i := indexOf(limits, o.name)
		if i < 1 {
			f.Addf("quota", "%q: must be the name of a further quota", o.name)
			continue
		}
		limits[i].cfg = o.cfg
	}
	f.Add("", validateLimits(limits))
	return limits, f.Err()
}

func indexOf(limits []namedLimit, name string) int {
	for i, l := range limits {
		if l.name == name {
			return i
		}
	}
	return -1
}

// bucket is the limit as GCRA has it. The interval is rounded up: never more
// than the limit.
func (l namedLimit) bucket(grain time.Duration) policy.StoreLimit {
	interval := (ceil(l.per(), time.Duration(l.cfg.Limit)) + grain - 1).Truncate(grain)
	b := policy.StoreLimit{Name: l.name, Burst: l.cfg.Limit, Interval: interval}
	if l.cfg.Pacing == policy.PacingSmooth {
		b.Burst = 1
	}
	return b
}

func ceil(d, by time.Duration) time.Duration { return (d + by - 1) / by }

// per is the period, by default a second.
func (l namedLimit) per() time.Duration {
	if l.cfg.Per == 0 {
		return time.Second
	}
	return l.cfg.Per
}

func validateLimits(limits []namedLimit) error {
	var f policy.Faults
	if len(limits) > maxLimits {
		f.Addf("quota", "%d of them: must be ≤ %d", len(limits), maxLimits)
	}
	for i, l := range limits {
		if i == 0 {
			f.Add("", l.cfg.Validate())
		} else {
			f.Add("quota["+strconv.Quote(l.name)+"]", l.cfg.Validate())
		}
		if !validName(l.name) {
			f.Addf("name", "%.80q: must be 1 to 64 printable ASCII characters without quotes and backslashes", l.name)
		}
		if indexOf(limits, l.name) < i {
			f.Add("name", errors.New(strconv.Quote(l.name)+": must be given once"))
		}
	}
	return f.Err()
}

// validName reports whether name can stand as it is in a structured field's
// string (RFC 9651, section 3.3.3).
func validName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return name != "" && len(name) <= 64
}
