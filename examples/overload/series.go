package main

import (
	"slices"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// window is the time that one column of the chart stands for.
const window = 500 * time.Millisecond

// series is what came of the requests over time.
type series struct {
	mu sync.Mutex
	// Guarded by mu:
	began   time.Time
	windows []tally
	late    []time.Duration // by how much requests were sent later than they were due
}

// tally is what happened within a time: requests by when they were due, and
// their ends by when those came.
type tally struct {
	offered int
	ends    [3]int          // by ending
	times   []time.Duration // of those answered, from when they were due
}

func newSeries(lasts time.Duration) series { return series{windows: make([]tally, lasts/window)} }

func (s *series) begin() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Now()
	return s.began
}

func (s *series) offer(due, sent time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = append(s.late, sent-due)
	if i := int(due / window); i < len(s.windows) {
		s.windows[i].offered++
	}
}

// note notes an end; what ends after the last window is nobody's.
func (s *series) note(due, at time.Duration, e ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := int(at / window)
	if i >= len(s.windows) {
		return
	}
	t := &s.windows[i]
	t.ends[e]++
	if e == answered {
		t.times = append(t.times, at-due)
	}
}

// elapsed is how many windows are over.
func (s *series) elapsed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began.IsZero() {
		return 0
	}
	return min(int(time.Since(s.began)/window), len(s.windows))
}

// sum is the tally of several windows.
func (s *series) sum(from, to int) tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all tally
	for _, t := range s.windows[from:to] {
		all.offered += t.offered
		for e, n := range t.ends {
			all.ends[e] += n
		}
		all.times = append(all.times, t.times...)
	}
	slices.Sort(all.times)
	return all
}

// lateness is how late all but one in a hundred requests were sent at most.
func (s *series) lateness() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := slices.Sorted(slices.Values(s.late))
	return demo.Percentile(late, 99)
}
