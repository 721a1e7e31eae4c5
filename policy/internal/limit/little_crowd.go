package limit

import (
	"math"
	"time"
)

// crowd is what was seen at the limit since the last verdict.
type crowd struct {
	since  time.Duration
	took   series // ln of the seconds that tries took
	rate   series // ln of the tries per second, by Little's law
	tries  int
	missed int // that ended too late though they had not waited for long
	queued int // that left others waiting, or had waited themselves
}

// usual is what was seen at the limit of late, over a few verdicts.
type usual struct {
	took float64 // ln of the seconds that tries take
	rate float64 // ln of the tries per second
	want float64 // the limit that the verdicts wanted
	miss float64 // share of tries that ended too late, though they need not have
}

// atLimit takes in a try that was let in at the limit or near it.
func (l *Little) atLimit(s Sample, took float64) {
	l.quiet = quiet{since: s.Ended}
	l.busy.add(1, 256)
	if s.Ended < l.settled {
		return
	}
	c := &l.crowd
	if c.tries == 0 || s.Ended-c.since > l.stale() {
		*c = crowd{since: s.Ended}
	}
	c.add(s, took)
	if c.ripe(s.Ended, l.limit) {
		l.judge(s.Ended)
	}
}

func (c *crowd) add(s Sample, took float64) {
	c.tries++
	if s.Queued > 0 || s.Waited > 0 {
		c.queued++
	}
	if s.Result == Missed && 4*s.Waited < s.Took() {
		c.missed++
	}
	c.took.add(took)
	c.rate.add(math.Log(float64(s.InFlight)) - took)
}

// enough is how many tries tell something, if there is time to wait for them.
// That those seen so far are alike does not: nine hits of a cache say nothing of
// the miss that follows.
const enough = 64

// ripe reports whether enough was seen to tell it from noise. Tries that are in
// flight together are slow together, so it takes a few rounds of them.
func (c *crowd) ripe(now time.Duration, limit float64) bool {
	lasted := now - c.since
	switch {
	case c.tries < 8 || lasted <= 10*time.Millisecond:
		return false
	case lasted >= 500*time.Millisecond:
		return true
	}
	return c.took.n >= max(enough, 2*limit) && lasted >= 2*seconds(math.Exp(c.took.mean))
}

// judge moves the limit by what was seen at it, and begins a probe where that
// does not fit what is known, or when it is time.
func (l *Little) judge(now time.Duration) {
	c := l.crowd
	l.crowd = crowd{since: now}
	if l.next == 0 {
		l.next = now + max(500*time.Millisecond, 5*seconds(math.Exp(c.took.mean))) // the first to end are the quick ones
	}
	if l.base.n == 0 || c.took.mean < l.base.mean-3*c.took.se() {
		l.base.set(c.took.n, c.took.mean)
	}
	want := l.want(c.rate.mean)
	l.follow(c, want)
	l.move(c, want)
	if 2*c.queued >= c.tries {
		l.doubt(now, c, want)
	}
	l.name()
}

// follow keeps what is usual, anew where it has changed by far.
func (l *Little) follow(c crowd, want float64) {
	u := &l.usual
	if math.Abs(c.took.mean-u.took) > 1 {
		u.took, u.rate = c.took.mean, c.rate.mean
	}
	u.took += (c.took.mean - u.took) / 4
	u.rate += (c.rate.mean - u.rate) / 4
	u.want += (want - u.want) / 4
	u.miss += (l.excess(c) - u.miss) / 4
}

// miss is the share of tries that ended too late.
func (c *crowd) miss() float64 { return float64(c.missed) / float64(c.tries) }

// excess is the share that would have ended in time in a service that is not
// crowded.
func (l *Little) excess(c crowd) float64 { return max(0, c.miss()-l.fated) }

// move brings the limit nearer to what is wanted: the less, the noisier that is,
// down only as far as has been wanted for a while, up only if somebody had to
// wait. Tries that end too late make it lower. It takes a probe to let it fall
// far under what the last one found, unless half of them do.
//
// Until the first probe little is known, so the limit grows faster, and the
// benefit of the doubt is larger.
func (l *Little) move(c crowd, want float64) {
	noise, most := c.rate.se()/0.15, 1.3
	if l.proven == 0 {
		most = 2
		want *= math.Exp(exponentialSD / math.Sqrt(l.base.n)) // the base may be as far off
	}
	if want < l.limit {
		want = min(l.limit, max(want, l.usual.want))
	}
	to := l.limit * min(max(math.Pow(want/l.limit, 1/(1+noise*noise)), 0.6), most)
	if c.queued == 0 {
		to = min(to, l.limit)
	}
	floor, miss := max(floorLimit, 0.7*l.validated), l.excess(c)
	if miss > 0.05 {
		to = min(to, max(l.limit*(1-0.3*miss), min(l.limit, l.slots)))
	}
	if miss >= 0.5 {
		floor = floorLimit
	}
	l.limit = max(to, floor)
	seen, pace := min(l.usual.want, l.limit), 64.0
	if seen > l.validated {
		pace = 8
	}
	l.validated += (seen - l.validated) / pace
}

// doubt begins a probe if the service looks changed, or if it is time for one.
func (l *Little) doubt(now time.Duration, c crowd, want float64) {
	far := want*math.Exp(2*c.rate.se()) < 0.35*l.validated
	some := l.usual.want < 0.75*l.validated || l.usual.miss > 0.2
	switch {
	case l.proven > 0 && (far || some && now >= l.rest):
		l.begin(now, l.limit/2, changed)
	case now < l.next || l.busy.mean < 0.9: // it would cost those who can be served
	case l.calm < deepAfter:
		l.begin(now, 0.85*l.proven, shallow)
	default:
		l.begin(now, l.limit/2, deep)
	}
}
