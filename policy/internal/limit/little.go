package limit

import (
	"math"
	"time"
)

// Little finds the limit by Little's law (Little 1961): throughput is the number
// in flight over the time that each takes. How long a try takes in a service
// that is not crowded, its base, times the throughput of one that is, is how many
// it serves at once: its slots. The limit is held some way above.
//
// A service that has become slower looks like one that is crowded: tries take
// longer at the same number in flight. To tell the two apart, Little lowers the
// limit for a moment: a probe. If throughput stays, the service was crowded; if
// it falls, nobody is in another's way there, and the base is what tries take
// then. Only a probe raises the base of a service at its limit.
//
// All means are of logarithms, so that a few slow tries do not hide the rest, and
// nothing is decided before it is told from noise.
type Little struct {
	bounds Bounds

	limit    float64
	slots    float64 // how many the service serves at once, by the last verdict
	base     mean    // ln of the seconds that a try takes in a service that is not crowded
	spread   float64 // how much tries differ, from 0 to 1: half as much as exponential times, or more
	fated    float64 // share of them that end too late even when it is not crowded
	deadline mean    // seconds that callers wait

	crowd crowd // at the limit since the last verdict
	usual usual // at the limit of late
	quiet quiet // away from the limit
	busy  mean  // share of the tries of late that were at the limit

	probe     probe
	proven    float64       // the slots by the last probe
	validated float64       // a limit that fits what the last probe found
	calm      int           // probes in a row that found what was known
	settled   time.Duration // what ends before saw another limit
	next      time.Duration // no probe for its own sake before
	rest      time.Duration // no probe because the service looks changed before
}

const (
	startLimit = 20
	startQueue = 10 * startLimit // until a first try has ended
	floorLimit = 2               // but for probes
)

// NewLittle returns a [Little] that knows nothing yet.
func NewLittle() *Little {
	l := &Little{
		limit: startLimit, spread: 1, validated: startLimit, usual: usual{took: math.Inf(-1), want: startLimit},
		calm: deepAfter,
	}
	l.name()
	return l
}

// Bounds implements [Algorithm].
func (l *Little) Bounds() Bounds { return l.bounds }

// Learn implements [Algorithm].
func (l *Little) Learn(s Sample) {
	took := math.Log(max(s.Took(), time.Microsecond).Seconds())
	if s.Result == Dropped || l.gone(s, took) {
		l.giveUp(s.Ended)
		return
	}
	l.learnDeadline(s)
	switch {
	case l.probe.limit > 0:
		l.look(s, took)
	case 4*s.InFlight >= 3*l.bounds.Limit:
		l.atLimit(s, took)
	default:
		if 2*s.InFlight <= l.roomy() && s.Queued == 0 {
			l.base.add(took, 64)
			l.renameIfFar()
		}
		l.awayFromLimit(s)
	}
}

// gone reports whether the caller of s went away without waiting for the service.
func (l *Little) gone(s Sample, took float64) bool {
	return s.Result == Missed && s.Deadline == 0 && (l.base.n == 0 || took < l.base.mean-math.Ln2)
}

// roomy is how many have room for sure.
func (l *Little) roomy() int {
	if l.slots == 0 {
		return l.bounds.Limit
	}
	return min(l.bounds.Limit, int(l.slots))
}

// stale is how old what was seen may become before it is worth nothing.
func (l *Little) stale() time.Duration {
	return max(10*time.Second, 20*l.took())
}

// took is how long a try takes of late, or does in a service that is not
// crowded if that is longer; zero when not known.
func (l *Little) took() time.Duration {
	if l.base.n == 0 {
		return 0
	}
	return seconds(math.Exp(max(l.base.mean, l.usual.took)))
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

// want is the limit for a service that does e^x tries per second: a little above
// its slots where all tries take alike, and the farther the more they differ, so
// that none of the slots is ever left without.
func (l *Little) want(x float64) float64 {
	l.slots = math.Exp(l.base.mean + x)
	even := 1.1*l.slots + 0.5
	want := even + l.spread*(1.5*l.slots+math.Sqrt(l.slots)-even)
	if l.deadline.n > 0 {
		want = min(want, max(0.5*l.deadline.mean*math.Exp(x), 1.12*l.slots+0.5))
	}
	return want
}

// renameIfFar follows a base that moves away from the limit.
func (l *Little) renameIfFar() {
	if l.bounds.Typical == 0 || math.Abs(max(l.base.mean, l.usual.took)-math.Log(l.bounds.Typical.Seconds())) > 0.1 {
		l.name()
	}
}

// name makes the bounds of what is known. In a queue that stands, the newest go
// first: who has waited for as long as a try takes would hardly be in time.
func (l *Little) name() {
	took := l.took()
	b := ShortQueue(int(l.limit), took)
	if took == 0 {
		b.Queue = startQueue
	}
	if l.probe.limit > 0 {
		b.Limit = l.probe.limit
	}
	if l.deadline.n > 0 {
		b.Standing = min(b.Standing, max(0, seconds(l.deadline.mean)-2*took)/4)
	}
	l.bounds = b
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
