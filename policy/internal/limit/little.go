package limit

import (
	"math"
	"time"
)

// Little finds the limit by Little's law (Little 1961): throughput is the number
// in flight over the time that each takes. What the service does when it is not
// crowded (the base) times its throughput when it is, is how many it can serve
// at once: its slots. The limit is held some way above.
//
// All means are of logarithms, so that a few slow tries do not hide the rest.
// Nothing is decided before it is told from noise.
//
// A service that has become slower looks like one that is crowded: tries take
// longer at the same number in flight. To tell the two apart, Little halves the
// limit for a moment (a probe). If the tries stay as slow, the service is; if
// throughput stays, it was crowded.
type Little struct {
	maxQueue int
	maxWait  time.Duration
	bounds   Bounds

	limit     float64
	validated float64 // the limit by the last probe
	base      mean    // ln of how long a try takes in a service that is not crowded
	deadline  mean    // how long callers wait, in seconds
	recent    float64 // ln of how long a try takes at the limit of late
	rate      float64 // ln of tries per second, likewise
	crowd     crowd   // what was seen at the limit since the last verdict
	probe     probe
	settled   time.Duration // what ends before saw another limit
	slots     float64       // how many the service can serve at once, by the last verdict
	proven    float64       // and by the last probe
	next      time.Duration // no probe for its own sake before
	trend     float64       // what the verdicts of late wanted
	misses    float64       // share of late that ended too late
	calm      int           // probes in a row that found what was known
	rest      time.Duration // no probe for an anomaly's sake before
	rng       uint64
	quiet     quiet
}

const (
	startLimit = 20
	floorLimit = 2
)

// NewLittle returns a [Little] whose queue holds up to maxQueue for up to
// maxWait; zero leaves either to it, a negative maxWait means for ever.
func NewLittle(maxQueue int, maxWait time.Duration) *Little {
	l := &Little{maxQueue: maxQueue, maxWait: maxWait, limit: startLimit, validated: startLimit, trend: startLimit, calm: deepAfter, rng: 1}
	l.name()
	return l
}

// Bounds implements [Algorithm].
func (l *Little) Bounds() Bounds { return l.bounds }

// Learn implements [Algorithm].
func (l *Little) Learn(s Sample) {
	if s.Result == Dropped {
		return
	}
	took := max(s.Took(), time.Microsecond)
	d := math.Log(took.Seconds())
	if s.Result == Missed && s.Deadline == 0 && (l.base.n == 0 || d < l.base.mean-math.Ln2) {
		return // its caller did not wait for the service
	}
	l.learnDeadline(s)
	switch {
	case l.probe.limit > 0:
		l.probing(s, d)
	case 4*s.InFlight >= 3*l.bounds.Limit:
		l.atLimit(s, d)
	default:
		if 2*s.InFlight <= l.roomy() && s.Queued == 0 {
			l.base.add(d, 64)
		}
		l.idle(s)
	}
}

// roomy is how many have room for sure.
func (l *Little) roomy() int {
	if l.slots == 0 {
		return l.bounds.Limit
	}
	return min(l.bounds.Limit, int(l.slots))
}

// learnDeadline notes how long the caller of s waits, or waited at most: a try
// may go on for a while after its caller has gone.
func (l *Little) learnDeadline(s Sample) {
	arrived := s.Granted - s.Waited
	switch {
	case s.Deadline > 0:
		l.deadline.add((s.Deadline - arrived).Seconds(), 32)
	case s.Result == Missed && (s.Ended-arrived).Seconds() < l.deadline.mean:
		l.deadline.add((s.Ended - arrived).Seconds(), 4)
	case s.Result == Missed:
		l.deadline.add((s.Ended - arrived).Seconds(), 64)
	}
}

// crowd is what was seen at the limit.
type crowd struct {
	since  time.Duration
	r      series // ln of how long tries took
	x      series // ln of throughput
	tries  int
	missed int
	queued int // tries that left others waiting, or had waited themselves
}

func (l *Little) atLimit(s Sample, d float64) {
	c := &l.crowd
	l.quiet = quiet{since: s.Ended}
	if s.Ended < l.settled {
		return
	}
	if c.tries == 0 {
		c.since = s.Ended
	}
	c.tries++
	if s.Queued > 0 || s.Waited > 0 {
		c.queued++
	}
	if s.Result == Missed && 4*s.Waited < s.Took() {
		c.missed++
	}
	c.r.add(d)
	c.x.add(math.Log(float64(s.InFlight)) - d)
	if c.ripe(s.Ended, l.limit) {
		l.judge(s.Ended)
	}
}

// ripe reports whether enough was seen to tell it from noise. Tries that are in
// flight together are slow together, so it takes a few rounds of them.
func (c *crowd) ripe(now time.Duration, limit float64) bool {
	lasted := now - c.since
	switch {
	case c.r.n < 8 || lasted <= 10*time.Millisecond:
		return false
	case lasted >= 500*time.Millisecond:
		return true
	}
	return c.r.n >= 2*limit && lasted >= 2*seconds(math.Exp(c.r.mean)) && (c.r.n >= 64 || c.x.se() <= 0.12)
}

func (l *Little) judge(now time.Duration) {
	c := l.crowd
	l.crowd = crowd{since: now}
	l.follow(c)
	if l.next == 0 {
		l.next = now + time.Second // the first verdicts are on the quick ones
	}
	if l.base.n == 0 || c.r.mean < l.base.mean-3*c.r.se() {
		l.base.set(c.r.n, c.r.mean)
	}
	want := l.want(c.x.mean)
	se := c.x.se()
	gain := 1 / (1 + sq(se/0.15))
	next := l.limit * min(max(math.Pow(want/l.limit, gain), 0.6), 1.3)
	if c.queued == 0 {
		next = min(next, l.limit)
	}
	miss := float64(c.missed) / float64(c.tries)
	if miss > 0.05 {
		next = min(next, l.limit*max(1-0.3*miss, min(1, l.slots/l.limit)))
	}
	floor := max(floorLimit, 0.7*l.validated)
	if miss >= 0.5 {
		floor = floorLimit
	}
	l.limit = max(next, floor)
	l.trend += (want - l.trend) / 4
	l.misses += (miss - l.misses) / 4
	if seen := min(l.trend, l.limit); seen > l.validated {
		l.validated += (seen - l.validated) / 8
	} else {
		l.validated += (seen - l.validated) / 64
	}
	veryOdd := want*math.Exp(2*se) < 0.35*l.validated
	odd := l.trend < 0.75*l.validated || l.misses > 0.2
	switch {
	case 2*c.queued < c.tries:
	case veryOdd, odd && now >= l.rest:
		l.startProbe(now, c, l.limit/2, true)
		l.probe.odd = true
	case now >= l.next:
		l.lookAgain(now, c)
	}
	l.name()
}

// follow smooths what is seen at the limit, over a few verdicts or, when it has
// changed by far, none.
func (l *Little) follow(c crowd) {
	if math.Abs(c.r.mean-l.recent) > 1 {
		l.recent, l.rate = c.r.mean, c.x.mean
		return
	}
	l.recent += (c.r.mean - l.recent) / 4
	l.rate += (c.x.mean - l.rate) / 4
}

// want is the limit for a service that does e^x tries per second.
func (l *Little) want(x float64) float64 {
	l.slots = math.Exp(l.base.mean + x)
	want := 1.5*l.slots + math.Sqrt(l.slots)
	if l.deadline.n > 0 {
		want = min(want, max(0.5*l.deadline.mean*math.Exp(x), 1.12*l.slots+0.5))
	}
	return want
}

// name makes the bounds of what is known.
func (l *Little) name() {
	b := Bounds{Limit: int(l.limit)}
	if l.probe.limit > 0 {
		b.Limit = l.probe.limit
	}
	b.Queue = max(16, 2*int(l.limit))
	if l.maxQueue > 0 {
		b.Queue = l.maxQueue
	}
	took := 20 * time.Millisecond
	if l.base.n > 0 {
		took = seconds(math.Exp(max(l.base.mean, l.recent)))
		b.Typical = took
	}
	b.Wait = 10 * took
	if l.maxWait != 0 {
		b.Wait = l.maxWait
	}
	b.Standing = max(took, 10*time.Millisecond)
	if l.deadline.n > 0 {
		b.Standing = min(b.Standing, max(0, seconds(l.deadline.mean)-2*took)/4)
	}
	l.bounds = b
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func sq(x float64) float64 { return x * x }
