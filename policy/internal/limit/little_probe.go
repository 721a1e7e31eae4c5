package limit

import (
	"math"
	"time"
)

// probe is a look at the service at half the limit.
type probe struct {
	limit   int // while it lasts; else zero
	since   time.Duration
	r       series
	x       series
	rate    float64 // ln of throughput at the limit before
	before  float64 // ln of how long tries took there
	anomaly bool
	rest    time.Duration // no probe for an anomaly's sake before
}

func (l *Little) startProbe(now time.Duration, c crowd, anomaly bool) {
	l.probe = probe{
		limit: max(1, int(l.limit)/2), since: now,
		rate: c.x.mean, before: c.r.mean, anomaly: anomaly, rest: l.probe.rest,
	}
}

// probing takes in a try while a probe lasts. Only those let in since count; the
// first to end are the quick ones, so it waits for twice as many as fit.
func (l *Little) probing(s Sample, d float64) {
	p := &l.probe
	if s.Granted >= p.since {
		p.r.add(d)
		p.x.add(math.Log(float64(s.InFlight)) - d)
	}
	lasted := s.Ended - p.since
	enough := p.r.n >= 8 && p.r.n >= float64(2*p.limit) && (p.x.se() <= 0.12 || p.r.n >= 64)
	if enough || lasted >= 500*time.Millisecond && p.r.n > 0 {
		l.conclude(s.Ended)
	}
}

func (l *Little) conclude(now time.Duration) {
	p := l.probe
	l.probe = probe{rest: p.rest}
	if p.anomaly {
		l.probe.rest = now + 10*(now-p.since)
	}
	diff := p.r.mean - l.base.mean
	se := p.r.se()
	rose := diff > 2*se
	if math.Abs(diff) > 3*se {
		l.base.set(p.r.mean)
	} else {
		l.base.set(l.base.mean + diff/2)
	}
	if rose && p.x.mean >= p.rate+math.Log(0.9) {
		l.limit = max(floorLimit, float64(p.limit))
		l.validated = l.limit
		l.next = now
	} else {
		l.validated = l.limit
		l.schedule(now, p.r.mean)
	}
	l.crowd = crowd{since: now}
	l.quiet = quiet{since: now}
	l.name()
}

// schedule sets when the next probe is due for its own sake, with a jitter of a
// fifth, so that the probes of many servers do not fall together.
func (l *Little) schedule(now time.Duration, r float64) {
	every := max(5*time.Second, 25*seconds(math.Exp(r)))
	l.rng ^= l.rng << 13
	l.rng ^= l.rng >> 7
	l.rng ^= l.rng << 17
	l.next = now + time.Duration(float64(every)*(0.8+0.4*float64(l.rng>>11)/(1<<53)))
}

// quiet is what was seen while nothing was at the limit.
type quiet struct {
	since time.Duration
	n     int
	peak  int
}

// idle lets a limit that nothing comes near sink towards what is needed, so that
// a sudden crowd does not find more room than there is.
func (l *Little) idle(s Sample) {
	q := &l.quiet
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
