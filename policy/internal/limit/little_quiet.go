package limit

import "time"

// quiet is what was seen while nothing was at the limit.
type quiet struct {
	since time.Duration
	n     int
	peak  int
}

// awayFromLimit lets a limit that nothing comes near sink towards what is
// needed, so that a sudden crowd does not find more room than there is.
func (l *Little) awayFromLimit(s Sample) {
	l.busy.add(0, 256)
	q := &l.quiet
	if s.Ended-q.since > l.stale() {
		*q = quiet{since: s.Ended}
	}
	q.n++
	q.peak = max(q.peak, s.InFlight)
	if q.n < 8 || s.Ended-q.since < time.Second {
		return
	}
	if target := 1.25*float64(q.peak) + 2; target < l.limit {
		l.limit -= 0.3 * (l.limit - target)
		l.name()
	}
	*q = quiet{since: s.Ended}
}
