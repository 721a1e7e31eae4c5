package pool

import (
	"sync/atomic"
	"time"
)

// moment is a monotonic time that fits in an atomic: nanoseconds since the
// program began. Moments before it are negative.
type moment int64

var begin = time.Now()

const never moment = 1<<63 - 1

func momentOf(t time.Time) moment { return moment(t.Sub(begin)) }

func (m moment) time() time.Time              { return begin.Add(time.Duration(m)) }
func (m moment) since(o moment) time.Duration { return time.Duration(m - o) }

// latency is an endpoint's usual time to the response headers.
type latency struct {
	usual atomic.Int64 // smoothed; zero: not known
	heard atomic.Int64 // the moment of the last
}

// fading is how long it takes a latency to count for half as much when none is
// measured any more: what was slow once must not be shunned for ever.
const fading = 10 * time.Second

// learn adds a measurement, as 1/8 of the new value. Small changes are not worth
// a write, which all that ask for the latency at the same time would feel.
func (l *latency) learn(took time.Duration, at moment) {
	old := l.usual.Load()
	switch d := int64(took) - old; {
	case old == 0:
		l.heard.Store(int64(at))
		l.usual.Store(int64(max(took, 1)))
		return
	case d > old>>3 || -d > old>>3:
		l.usual.Store(max(old+d/8, 1))
	}
	if at.since(moment(l.heard.Load())) > fading/64 {
		l.heard.Store(int64(at))
	}
}

func (l *latency) at(now moment) time.Duration {
	usual := time.Duration(l.usual.Load())
	if usual == 0 {
		return 0
	}
	unheard := now.since(moment(l.heard.Load()))
	if unheard < fading/16 {
		return usual // what would be taken off is not worth it
	}
	return time.Duration(float64(usual) * float64(fading) / float64(fading+unheard))
}

// telling is the time after which a caller's deadline says something about the
// endpoint.
func (l *latency) telling() time.Duration {
	return max(100*time.Millisecond, time.Duration(10*l.usual.Load()))
}

func (l *latency) forget() { l.usual.Store(0) }
