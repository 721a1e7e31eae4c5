package overload

import (
	"net/http"
	"sync/atomic"
	"time"
)

// What the server can do, while it is well.
const (
	slots       = 8
	serviceTime = 20 * time.Millisecond
	capacity    = slots * int(time.Second/serviceTime) // per second
)

// resource serves as many requests at a time as it has slots, first come, first
// served.
type resource struct {
	slots chan struct{}
	slow  atomic.Int64 // factor
	held  atomic.Int64 // nanoseconds, by all that were served
	count atomic.Int64
}

func newResource() *resource {
	s := &resource{slots: make(chan struct{}, slots)}
	s.slow.Store(1)
	return s
}

func (s *resource) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
		began := time.Now()
		time.Sleep(serviceTime * time.Duration(s.slow.Load()))
		s.held.Add(int64(time.Since(began)))
		s.count.Add(1)
	case <-r.Context().Done():
	}
}

// reset begins to count anew.
func (s *resource) reset() {
	s.held.Store(0)
	s.count.Store(0)
}

// rate is how many requests it can serve in a second, judged by those since the
// last reset; by what it is meant to do where there was none.
func (s *resource) rate() float64 {
	if n := s.count.Load(); n > 0 {
		return slots * float64(n) / time.Duration(s.held.Load()).Seconds()
	}
	return float64(capacity) / float64(s.slow.Load())
}
