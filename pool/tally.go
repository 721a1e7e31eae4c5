package pool

import "sync/atomic"

// tally is what an endpoint's requests came to lately.
type tally struct {
	since    atomic.Int64 // requests that began before this moment tell nothing any more
	inARow   atomic.Int64 // failures
	calls    atomic.Int64 // since success rates were last compared
	failures atomic.Int64
}

// success notes a request that began at began.
func (t *tally) success(began moment) {
	if began < moment(t.since.Load()) {
		return
	}
	t.calls.Add(1)
	if t.inARow.Load() != 0 {
		t.inARow.Store(0)
	}
}

// failure does so too, and returns how many there were in a row; 0 if it tells
// nothing.
func (t *tally) failure(began moment) int {
	if began < moment(t.since.Load()) {
		return 0
	}
	t.calls.Add(1)
	t.failures.Add(1)
	return int(t.inARow.Add(1))
}

// interval returns the counts since it was last asked.
func (t *tally) interval() (calls, failures int) {
	calls, failures = int(t.calls.Swap(0)), int(t.failures.Swap(0))
	return max(calls, failures), failures
}

// reset begins anew at a moment.
func (t *tally) reset(at moment) {
	t.since.Store(int64(at))
	t.inARow.Store(0)
	t.interval()
}
