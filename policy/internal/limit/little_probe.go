package limit

import (
	"math"
	"math/rand/v2"
	"time"
)

// probe is a look at the service at a lower limit.
type probe struct {
	limit int // while it lasts; else zero
	kind  probeKind
	began time.Duration
	since time.Duration // of the present limit
	seen  crowd         // at it
	usual usual         // at the limit before
}

// probeKind is why a probe is made, and how low it goes.
type probeKind uint8

const (
	shallow probeKind = iota // just below the slots, which costs next to nothing
	deep                     // from half the limit down, until throughput falls
	changed                  // likewise, and what was known before counts no more
)

// deepAfter is how many probes must have found what was known before one goes
// deep for its own sake.
const deepAfter = 4

func (l *Little) begin(now time.Duration, at float64, kind probeKind) {
	l.probe = probe{limit: int(min(max(1, at), l.limit)), kind: kind, began: now, since: now, usual: l.usual}
	l.settle(now, l.usual.took)
}

// settle passes by what ends soon after a change: of the tries let in since, the
// quick ones end first.
func (l *Little) settle(now time.Duration, took float64) {
	l.settled = now + min(2*seconds(math.Exp(took)), time.Second)
}

// look takes in a try while a probe lasts; only those let in since count.
func (l *Little) look(s Sample, took float64) {
	if l.giveUp(s.Ended) {
		return
	}
	p := &l.probe
	if s.Granted >= p.since && s.Ended >= l.settled {
		p.seen.add(s, took)
	}
	switch {
	case !p.ripe(s.Ended - l.settled):
	case p.kind != shallow && p.limit > 1 && p.seen.rate.mean >= p.usual.rate+math.Log(0.8):
		l.deeper(s.Ended)
	default:
		l.conclude(s.Ended)
	}
}

// giveUp ends a probe that is not answered, because nobody comes any more or no
// try tells anything. It reports whether it did.
func (l *Little) giveUp(now time.Duration) bool {
	if l.probe.limit == 0 || now-l.probe.since <= l.stale() {
		return false
	}
	l.end(now, 0, l.usual.took)
	return true
}

func (p *probe) ripe(lasted time.Duration) bool {
	n := p.seen.tries
	if n < 8 {
		return false
	}
	return n >= max(enough, 2*p.limit) || lasted >= max(500*time.Millisecond, 2*seconds(math.Exp(p.usual.took)))
}

// deeper goes on at half the limit of the probe.
func (l *Little) deeper(now time.Duration) {
	took := l.probe.seen.took.mean
	l.probe.limit /= 2
	l.probe.since = now
	l.probe.seen = crowd{}
	l.settle(now, took)
	l.name()
}

// conclude makes the base of what a probe has found.
func (l *Little) conclude(now time.Duration) {
	p := l.probe
	found, se := p.seen.took, p.seen.took.se()
	l.spread += (min(1, 2*found.sd()/exponentialSD) - l.spread) / 2
	l.fated = p.seen.miss()
	if found.mean > p.usual.took-se {
		found.mean = max(found.mean, p.usual.took) // nobody was in another's way at the limit either
	}
	if p.kind == changed || l.proven == 0 || math.Abs(found.mean-l.base.mean) > 3*se {
		l.base.set(found.n, found.mean)
		l.calm = 0
	} else {
		l.base.merge(found)
		l.calm = min(l.calm+1, deepAfter)
	}
	want := l.want(p.usual.rate)
	l.limit = max(floorLimit, min(l.limit, want))
	l.proven = l.slots
	l.validated, l.usual.want, l.usual.miss = l.limit, l.limit, 0
	l.end(now, now-p.began, found.mean)
}

// exponentialSD is the standard deviation of the logarithm of exponential times.
const exponentialSD = math.Pi / 2.449489742783178

// end returns to the limit, from a probe that cost so much time.
func (l *Little) end(now, lasted time.Duration, took float64) {
	l.probe = probe{}
	l.crowd = crowd{since: now}
	l.quiet = quiet{since: now}
	l.schedule(now, lasted)
	l.settle(now, took)
	l.name()
}

// schedule sets when the next probe may be. One that found something new is soon
// confirmed; the deep ones are so far apart that they cost half a percent of the
// throughput. A jitter of a fifth keeps those of many servers apart.
func (l *Little) schedule(now, lasted time.Duration) {
	every := max(time.Second, lasted*time.Duration(5<<l.calm))
	if l.calm >= deepAfter {
		every = max(5*time.Second, 100*lasted)
	}
	l.next = now + time.Duration(float64(every)*(0.8+0.4*rand.Float64()))
	l.rest = now + min(every, lasted*time.Duration(3+l.calm))
}
