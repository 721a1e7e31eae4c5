package middleware

import (
	"iter"
	"sync/atomic"

	"github.com/magnetar-go/magnetar/policy"
)

// ShedderStats is a [Shedder] at one moment.
type ShedderStats struct {
	Main    policy.ConcurrencyStats // the main lane, whose limit is the server's
	Health  policy.ConcurrencyStats // the lane of health checks
	Streams policy.ConcurrencyStats // the lane of streams and of what waits for its client

	Streamed uint64 // requests that left the main lane for the streams'
	Stayed   uint64 // streams that had to stay in the main lane
	Stalls   uint64 // waits for a client for which a place was given to others
	Draining bool   // see [Shedder.Drain]
}

// Stats returns the figures of this moment. They may be a few requests apart.
func (s *Shedder) Stats() ShedderStats {
	return ShedderStats{
		Main:     s.main.Stats(),
		Health:   s.health.Stats(),
		Streams:  s.streams.Stats(),
		Streamed: s.figures.streamed.Load(),
		Stayed:   s.figures.stayed.Load(),
		Stalls:   s.figures.stalls.Load(),
		Draining: s.draining.Load(),
	}
}

// statuses yields how the lanes stand.
func (s *Shedder) statuses() iter.Seq[policy.Status] {
	return func(yield func(policy.Status) bool) {
		_ = yield(s.main.Status()) && yield(s.health.Status()) && yield(s.streams.Status())
	}
}

type figures struct{ streamed, stayed, stalls atomic.Uint64 }
