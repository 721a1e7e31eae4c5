package generation

import (
	"sync"
	"sync/atomic"
	"time"
)

// suspicion is that the endpoint closes connections that have been idle for a
// certain time. A server that stops, or that reloads its configuration, closes
// them too, after whatever time. So it takes several closes in a row that agree,
// each of another event, and fewer connections in between that had been idle for
// longer and served well. What such connections told before the first of the
// closes does not count: the server's time may have been lowered since.
type suspicion struct {
	beyond    atomic.Int64 // idle times from here on speak against it; 0: nothing is suspected
	survivors atomic.Int64 // connections that were as idle and served; stops at hasty

	mu    sync.Mutex
	idle  time.Duration // the shortest of the closes that agree
	count int           // of those that count, up to hasty
	last  int64         // when the last event began
}

const (
	// enough closes teach, or hasty ones where the lesson costs most: that
	// connections cannot be kept at all.
	enough = 3
	hasty  = 4
	// responseTime is how soon after a response a close belongs to that: no server
	// gives so little time.
	responseTime = time.Millisecond
	// eventTime is how long a server that stops takes to close its connections.
	eventTime = 10 * time.Millisecond
	// leastSlack is how far off a busy machine sees idle times.
	leastSlack = time.Millisecond
)

// survived is told of each connection that had been idle and served well.
func (s *suspicion) survived(idle time.Duration) {
	beyond := s.beyond.Load()
	if beyond == 0 || int64(idle) < beyond {
		return
	}
	if s.survivors.Add(1) >= hasty {
		s.beyond.Store(0)
	}
}

// closed is told of each connection that the endpoint closed at a time, after it
// had been idle for a while. It returns the idle time that it is now sure of.
func (s *suspicion) closed(at int64, idle time.Duration) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count = max(s.count-int(s.survivors.Swap(0)), 0)
	if s.count == 0 || idle < responseTime || (idle-s.idle).Abs() > slack(s.idle) {
		s.begin(at, idle)
		return 0, false
	}
	s.suspect(min(s.idle, idle))
	if at-int64(idle) < s.last || s.same(at) {
		return 0, false
	}
	s.count, s.last = min(s.count+1, hasty), at
	if s.count < s.needed() {
		return 0, false
	}
	return s.idle, true
}

func (s *suspicion) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count = 0
	s.suspect(0)
}

// The rest runs with s.mu held.

// begin suspects another idle time, unless the close is part of an event of
// which others were: those that end it are of all ages.
func (s *suspicion) begin(at int64, idle time.Duration) {
	s.count = 0
	s.survivors.Store(0)
	switch {
	case s.same(at):
		s.suspect(0)
	case idle < responseTime:
		s.suspect(0)
		s.last = at
	default:
		s.suspect(idle)
		s.count, s.last = 1, at
	}
}

// same reports whether what happens at a time is part of the last event.
func (s *suspicion) same(at int64) bool { return time.Duration(at-s.last).Abs() < eventTime }

func (s *suspicion) suspect(idle time.Duration) {
	s.idle = idle
	if idle > 0 {
		idle += slack(idle)
	}
	s.beyond.Store(int64(idle))
}

func (s *suspicion) needed() int {
	if s.idle < 2*leastIdle {
		return hasty
	}
	return enough
}

// slack is by how much idle times may differ and still agree.
func slack(idle time.Duration) time.Duration { return max(idle/5, leastSlack) }
