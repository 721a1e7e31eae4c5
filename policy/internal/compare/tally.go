package compare

import (
	"math"
	"slices"
	"sync"
	"time"
)

// tally counts what becomes of the calls.
type tally struct {
	Scenario

	mu sync.Mutex
	// Guarded by mu:
	slices   []slice
	times    []time.Duration // of what was answered in the measured part
	critical []time.Duration // of it, what was critical
	asked    int             // critical calls in the measured part
}

// slice is a tenth of a second.
type slice struct {
	arrived, answerable, tried, refused, answered int
}

const sliceTime = 100 * time.Millisecond

func newTally(s Scenario) *tally {
	return &tally{Scenario: s, slices: make([]slice, (s.Warmup+s.Measured)/sliceTime+1)}
}

func (t *tally) arrived(at time.Duration, critical, answerable bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.slice(at)
	s.arrived++
	if answerable {
		s.answerable++
	}
	if critical && at >= t.Warmup {
		t.asked++
	}
}

func (t *tally) tried(at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slice(at).tried++
}

func (t *tally) refused(at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slice(at).refused++
}

func (t *tally) answered(at, took time.Duration, critical bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slice(at).answered++
	if at < t.Warmup || at >= t.Warmup+t.Measured {
		return
	}
	t.times = append(t.times, took)
	if critical {
		t.critical = append(t.critical, took)
	}
}

// slice must be called with mu held.
func (t *tally) slice(at time.Duration) *slice {
	return &t.slices[min(int(at/sliceTime), len(t.slices)-1)]
}

func (t *tally) result(limit int) Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.times)
	slices.Sort(t.critical)
	res := Result{
		P50:         quantile(t.times, 0.5),
		P99:         quantile(t.times, 0.99),
		False:       t.falseRefusals(),
		Settled:     t.settled(),
		Limit:       limit,
		Critical:    math.NaN(),
		CriticalP99: quantile(t.critical, 0.99),
	}
	answered, possible := t.sum(t.Warmup, t.Warmup+t.Measured)
	res.Goodput = answered / possible
	res.Slowness = res.P99.Seconds() / (t.Mean.Seconds() * t.Dist.quantile(0.99) * t.slowest())
	if t.asked > 0 {
		res.Critical = float64(len(t.critical)) / float64(t.asked)
	}
	return res
}

// sum counts the answers in a stretch of time, and how many there could have
// been, had calls flowed like water: the service has so much room, what it has
// no room for waits as long as clients do, and then is lost. Calls that an idle
// service would not have answered in time either flow along, for nobody can tell
// them beforehand, but they do not count.
func (t *tally) sum(from, to time.Duration) (answered, possible float64) {
	waiting, counting := 0.0, 0.0
	for at := from; at < to; at += sliceTime {
		s, room := t.slices[at/sliceTime], t.room(at, at+sliceTime)
		answered += float64(s.answered)
		waiting += float64(s.arrived)
		counting += float64(s.answerable)
		if waiting <= room {
			possible += counting
			waiting, counting = 0, 0
			continue
		}
		share := counting / waiting
		most := room * t.Timeout.Seconds() / sliceTime.Seconds()
		possible += room * share
		waiting = min(waiting-room, most)
		counting = waiting * share
	}
	return answered, possible
}

func (t *tally) falseRefusals() float64 {
	tried, refused := 0, 0
	for i, s := range t.slices[:(t.Warmup+t.Measured)/sliceTime] {
		at := time.Duration(i) * sliceTime
		if at >= t.Warmup && !t.overloaded(at) {
			tried += s.tried
			refused += s.refused
		}
	}
	if tried == 0 {
		return math.NaN()
	}
	return float64(refused) / float64(tried)
}

// unstepped is the time to settle where there is nothing to settle after.
const unstepped = math.MinInt64

// settled is how long after the last step three seconds begin in which goodput
// is at least 0.9.
func (t *tally) settled() time.Duration {
	if len(t.Steps) == 0 {
		return unstepped
	}
	const long, enough = 3 * time.Second, 0.9
	last := t.Warmup
	for _, step := range t.Steps {
		last = max(last, step.At)
	}
	for at := last; at+long <= t.Warmup+t.Measured; at += time.Second {
		if answered, possible := t.sum(at, at+long); answered >= enough*possible {
			return at - last
		}
	}
	return -1
}

// quantile returns zero of nothing.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))]
}
