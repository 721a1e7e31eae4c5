package main

import (
	"context"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// resource is what a server has only so much of: a pool of connections to a
// database. Who waits for one is served in order and may go away; work once begun
// goes on, as a query does whose client has gone.
type resource struct {
	free   chan *slot
	takes  time.Duration
	slower atomic.Uint64 // so many times as long; the bits of a float64
}

// slot keeps time by its own clock: that timers come late costs it nothing, so
// that the resource can do what it is said to do.
type slot struct{ until time.Time }

func newResource(slots int, takes time.Duration) *resource {
	r := &resource{free: make(chan *slot, slots), takes: takes}
	r.slow(1)
	for range slots {
		r.free <- &slot{}
	}
	return r
}

// slow makes all work that begins from now on take so many times as long.
func (r *resource) slow(factor float64) { r.slower.Store(math.Float64bits(factor)) }

func (r *resource) use(ctx context.Context) error {
	arrived := time.Now()
	select {
	case s := <-r.free:
		defer func() { r.free <- s }()
		s.work(arrived, r.work())
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// work is how long one piece of it takes: half to one and a half times the mean.
func (r *resource) work() time.Duration {
	factor := math.Float64frombits(r.slower.Load()) * (0.5 + rand.Float64())
	return time.Duration(factor * float64(r.takes))
}

func (s *slot) work(arrived time.Time, d time.Duration) {
	if s.until.Before(arrived) {
		s.until = arrived
	}
	s.until = s.until.Add(d)
	time.Sleep(time.Until(s.until))
}
