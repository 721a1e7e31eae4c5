package generation

import (
	"sync"
	"sync/atomic"
	"time"
)

// idleness is what is known of how long the endpoint keeps idle connections:
// from its Keep-Alive header (RFC 2068, section 19.7.1.1), or else from seeing
// it close them. It is known for a term, and then tried again.
type idleness struct {
	known   atomic.Int64 // the shortest time; 0: none is known
	until   atomic.Int64 // when it is forgotten; 0: never
	rtt     atomic.Int64 // the shortest dial; 0: there was none
	suspect suspicion

	mu   sync.Mutex
	term time.Duration // of what is known, or was
	last time.Duration // what was known before it was forgotten
}

// idleLimit is how long a connection may be idle; 0: whatever is configured;
// negative: no time at all.
type idleLimit time.Duration

const (
	// leastIdle is below what a busy machine may take between choosing a
	// connection and the request's arrival: with less there is no safe time to
	// reuse one.
	leastIdle = 10 * time.Millisecond
	// A term is shortTerm at first, and twice the one before for what is learned
	// again.
	shortTerm = 10 * time.Minute
	longTerm  = 24 * time.Hour
)

// learn takes d for the endpoint's time, unless no longer one is known. It
// reports whether that is news.
func (i *idleness) learn(now int64, d time.Duration) bool {
	if d <= 0 || i.settled(now, d) {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	known := time.Duration(i.known.Load())
	switch {
	case known == 0 && alike(d, i.last):
		i.term = min(2*i.term, longTerm)
	case known == 0 || shorter(d, known):
		i.term = shortTerm
	default:
		i.until.Store(now + int64(i.term)) // it is still so
		return false
	}
	i.known.Store(int64(d))
	i.until.Store(now + int64(i.term))
	return true
}

// settled reports whether d changes nothing, as nearly always. What an endpoint
// goes on saying has its term begun again, but only now and then.
func (i *idleness) settled(now int64, d time.Duration) bool {
	known := time.Duration(i.known.Load())
	if known == 0 || shorter(d, known) {
		return false
	}
	return shorter(known, d) || i.until.Load()-now > int64(shortTerm/2)
}

// due reports whether the term is over.
func (i *idleness) due(now int64) bool {
	until := i.until.Load()
	return until != 0 && now >= until
}

// forget ends a term that is over. It reports whether it did.
func (i *idleness) forget(now int64) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.due(now) {
		return false
	}
	i.last = time.Duration(i.known.Swap(0))
	i.until.Store(0)
	i.suspect.drop()
	return true
}

// reset forgets all but the network's own time.
func (i *idleness) reset() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.last, i.term = 0, 0
	i.known.Store(0)
	i.until.Store(0)
	i.suspect.drop()
}

// allowed leaves a fifth of the endpoint's time as a margin, and a round trip at
// least.
func (i *idleness) allowed() idleLimit {
	known := time.Duration(i.known.Load())
	if known == 0 {
		return 0
	}
	left := known - max(known/5, time.Duration(i.rtt.Load()))
	if left < leastIdle {
		return -1
	}
	return idleLimit(left)
}

func (i *idleness) connected(took time.Duration) {
	for {
		rtt := i.rtt.Load()
		if rtt != 0 && int64(took) >= rtt || i.rtt.CompareAndSwap(rtt, max(int64(took), 1)) {
			return
		}
	}
}

// shorter reports whether a is shorter than b by enough to matter.
func shorter(a, b time.Duration) bool { return a <= b-b/10 }

// alike reports whether neither is more than twice the other.
func alike(a, b time.Duration) bool { return a <= 2*b && b <= 2*a }
