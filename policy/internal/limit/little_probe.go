package limit

import (
	"math"
	"time"
)

// probe is a look at the service at half the limit, at a quarter, and so on
// until throughput falls: there nobody is in another's way.
type probe struct {
	limit   int // while it lasts; else zero
	began   time.Duration
	since   time.Duration // of the present limit
	r       series
	x       series
	rate    float64 // ln of throughput before
	deep    bool    // go on down while throughput stays
	odd     bool    // the service seems to have changed
}

// lookAgain probes for its own sake: a few times just below the slots, which
// costs next to nothing, and then from the half on.
func (l *Little) lookAgain(now time.Duration, c crowd) {
	if l.calm < deepAfter {
		l.startProbe(now, c, 0.85*l.proven, false)
		return
	}
	l.startProbe(now, c, l.limit/2, true)
}

// deepAfter is how many probes must have found what was known before one looks
// deeper.
const deepAfter = 4

func (l *Little) startProbe(now time.Duration, c crowd, limit float64, deep bool) {
	limit = min(max(1, limit), l.limit)
	l.probe = probe{limit: int(limit), began: now, since: now, rate: l.rate, deep: deep}
	l.settle(now, c.r.mean)
}

// probing takes in a try while a probe lasts. Only those let in since count; the
// first to end are the quick ones, so it waits for twice as many as fit.
func (l *Little) probing(s Sample, d float64) {
	p := &l.probe
	if s.Granted >= p.since && s.Ended >= l.settled {
		p.r.add(d)
		p.x.add(math.Log(float64(s.InFlight)) - d)
	}
	n, lasted := p.r.n, s.Ended-l.settled
	if n < 8 {
		return
	}
	clear := n >= float64(2*p.limit) && (p.x.se() <= 0.12 || n >= 64)
	if clear || lasted >= max(500*time.Millisecond, 5*seconds(math.Exp(p.r.mean))) {
		l.conclude(s.Ended)
	}
}

func (l *Little) conclude(now time.Duration) {
	p := l.probe
	if p.deep && p.x.mean >= p.rate+math.Log(0.8) && p.limit > 1 {
		l.probe = probe{limit: p.limit / 2, began: p.began, since: now, rate: p.rate, deep: true, odd: p.odd}
		l.settle(now, p.r.mean)
		l.name()
		return
	}
	l.probe = probe{}
	found := p.r
	if p.r.mean > l.recent-p.r.se() {
		found.mean = max(p.r.mean, l.recent) // nobody was in another's way at the limit either
	}
	moved := p.odd || l.proven == 0 || math.Abs(found.mean-l.base.mean) > 3*p.r.se()
	if moved {
		l.base.set(found.n, found.mean)
		l.calm = 0
	} else {
		l.base.merge(found)
		l.calm = min(l.calm+1, 10)
	}
	if want := l.want(p.rate); moved || want < l.limit {
		l.limit = max(floorLimit, min(l.limit, want))
	}
	l.validated, l.trend, l.misses = l.limit, l.limit, 0
	l.proven = l.slots
	l.schedule(now, now-p.began)
	l.crowd = crowd{since: now}
	l.quiet = quiet{since: now}
	l.settle(now, p.r.mean)
	l.name()
}

// settle passes by what ends soon after a change: of the tries let in since, the
// quick ones end first.
func (l *Little) settle(now time.Duration, r float64) {
	l.settled = now + min(2*seconds(math.Exp(r)), 500*time.Millisecond)
}

// schedule sets when the next probe may be. One that found something new is soon
// confirmed; the deep ones are so far apart that they cost half a percent of the
// throughput. A jitter of a fifth keeps those of many servers apart.
func (l *Little) schedule(now, lasted time.Duration) {
	every := max(time.Second, lasted*time.Duration(5<<l.calm))
	if l.calm >= deepAfter {
		every = max(5*time.Second, 100*lasted)
	}
	l.rng ^= l.rng << 13
	l.rng ^= l.rng >> 7
	l.rng ^= l.rng << 17
	l.next = now + time.Duration(float64(every)*(0.8+0.4*float64(l.rng>>11)/(1<<53)))
	l.rest = now + min(every, lasted*time.Duration(3+l.calm))
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
