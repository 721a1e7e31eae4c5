package outlier

import "time"

// Terms is how long ejections last.
type Terms struct {
	Base time.Duration // the first; each further one is longer by as much
	Max  time.Duration
}

// Term is the history of an endpoint's ejections. The zero value has none.
type Term struct {
	count int       // ejections that time in health has not taken off
	since time.Time // health
}

// Eject returns how long an ejection at now lasts.
func (t *Term) Eject(now time.Time, of Terms) time.Duration {
	base := max(of.Base, 1)
	if t.count > 0 {
		healthy := max(0, now.Sub(t.since))
		t.count -= int(min(time.Duration(t.count), healthy/base))
	}
	most := int((of.Max-1)/base) + 1 // beyond it nothing gets longer, and would only decay later
	t.count = min(t.count+1, most)
	if t.count == most {
		return of.Max
	}
	return time.Duration(t.count) * base
}

// Return notes that the endpoint is in health again since now.
func (t *Term) Return(now time.Time) { t.since = now }

// Count is how many ejections the next one is longer for, unless time in health
// takes them off before.
func (t *Term) Count() int { return t.count }
