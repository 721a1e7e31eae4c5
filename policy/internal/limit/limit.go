// Package limit finds how many tries a service has room for.
package limit

import "time"

// Algorithm learns from how tries end and names the bounds to hold. It is used
// by one goroutine at a time and reads no clock.
type Algorithm interface {
	// Bounds are those to hold from now on.
	Bounds() Bounds
	// Learn takes in how one try ended.
	Learn(Sample)
}

// Starter is implemented by algorithms that must see tries begin.
type Starter interface{ Start(try uint64) }

// Bounds are what a gate holds its tries to.
type Bounds struct {
	Limit    int           // tries in flight, at least 1
	Queue    int           // tries that may wait for one of them to end
	Wait     time.Duration // how long each of these may wait; negative: as long as its caller does
	Standing time.Duration // from this wait on the newest goes first; negative: never
	Typical  time.Duration // how long a try takes of late; 0: not known
}

// Sample is one try that has ended. Times count from an origin of the gate's.
type Sample struct {
	Try      uint64        // counts tries, for a [Starter]
	InFlight int           // tries in flight when it was let in, itself counted
	Queued   int           // tries waiting when it ended
	Waited   time.Duration // before it was let in
	Granted  time.Duration // when it was let in
	Ended    time.Duration // when it ended
	Excluded time.Duration // of its time, spent waiting for its own caller
	Deadline time.Duration // when its caller stops waiting; 0: not known
	Result   Result
}

// Took is how long the try kept the service busy.
func (s Sample) Took() time.Duration { return max(0, s.Ended-s.Granted-s.Excluded) }

// Result is what a sample is worth.
type Result uint8

// Results.
const (
	Dropped Result = iota // it tells nothing
	Done                  // it ran to its end
	Missed                // its caller went away, or its deadline passed, before its end
)
