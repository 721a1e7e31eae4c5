// Package limit finds how many tries a service has room for.
package limit

import "time"

// Algorithm learns from how tries end and names a limit. It is used by one
// goroutine at a time and reads no clock.
type Algorithm interface {
	// Limit is how many tries may be in flight, at least 1.
	Limit() int
	// Learn takes in how one try ended.
	Learn(Sample)
}

// Sample is one try that has ended. Times count from an origin of the caller's.
type Sample struct {
	Try      uint64        // number of the try, for those that implement [Starter]
	InFlight int           // tries in flight when it was let in, itself counted
	Queued   int           // tries that waited when it ended
	Waited   time.Duration // before it was let in
	Granted  time.Duration // when it was let in
	Ended    time.Duration // when it ended
	Took     time.Duration // from Granted to Ended, less what its own caller kept it waiting
	Deadline time.Duration // how long after its arrival its caller stops waiting; 0: unknown
	Result   Result
}

// Result is what a sample is worth.
type Result uint8

// Results.
const (
	Done    Result = iota // it ran to its end
	Missed                // its caller went away or its deadline passed before its end
	Dropped               // it tells nothing
)

// Starter is implemented by algorithms that must see tries begin.
type Starter interface{ Start(try uint64) }
