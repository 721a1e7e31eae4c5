// Package generation keeps the connections of one endpoint: generations of
// http.Transport, one in use and older ones that drain.
package generation

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool/internal/watch"
)

// Config is how the connections of an endpoint are made, and how long they live.
type Config struct {
	Base    *http.Transport // cloned for each generation
	Address string          // "ip:port" dialled whatever the URL says; empty: what net/http asks for
	Proxy   *url.URL        // nil: none

	MaxLifetime    time.Duration // ≤ 0: without bound
	LifetimeJitter float64       // share of it, drawn once per connection and taken off; ≤ 0: none
	IdleTimeout    time.Duration // 0: the base's; < 0: without bound
	DrainTimeout   time.Duration // ≤ 0: without bound
	PingAfter      time.Duration // 0: the base's; < 0: never
	PingTimeout    time.Duration // 0: the base's

	Watch watch.Watch
}

// Set is the generations of one endpoint. It is safe for concurrent use.
type Set struct {
	config   Config
	current  atomic.Pointer[generation] // nil once closed
	protocol atomic.Int32               // what the endpoint was last seen to speak
	idle     idleness

	mu          sync.Mutex
	base        *http.Transport
	generations map[*generation]struct{} // all that are not gone
	closed      bool
}

// New makes a set; nothing is dialled yet.
func New(c Config) *Set {
	s := &Set{config: c, base: c.Base, generations: make(map[*generation]struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	return s
}

// RoundTrip sends req over the generation in use, as an http.RoundTripper does.
// The owner is told of every exchange, also of one that a closed set refuses.
func (s *Set) RoundTrip(req *http.Request, owner Owner, began time.Time, permit policy.Permit) (*http.Response, error) {
	x := &Exchange{Permit: permit, Began: began, Request: req, owner: owner}
	x.generation = s.acquire()
	if x.generation == nil {
		return x.refuse()
	}
	return x.run()
}

// Rotate leaves the connections for new ones: what runs on them finishes. cause
// is the request that led to it, or any context; note is what whoever asked for
// it by hand gave as the reason: then the endpoint may have changed, and what is
// known of its idle timeout is forgotten.
func (s *Set) Rotate(cause context.Context, why policy.Reason, note string) {
	if why == policy.ReasonRotated {
		s.idle.reset()
	}
	s.replace(cause, s.current.Load(), why, note)
}

// Rebase does so with the settings of another base.
func (s *Set) Rebase(cause context.Context, base *http.Transport, why policy.Reason, note string) {
	s.mu.Lock()
	s.base = base
	s.mu.Unlock()
	s.protocol.Store(unknown)
	s.idle.reset()
	s.replace(cause, s.current.Load(), why, note)
}

// CloseIdle closes the connections that carry nothing.
func (s *Set) CloseIdle() {
	for _, g := range s.all() {
		g.transport.CloseIdleConnections()
	}
}

// Close takes no more requests (they get ErrClosed), waits for those that run
// until ctx ends, and then cuts them. It returns once all connections are
// closed, with the error of ctx if it cut any. A connection whose Close hangs is
// not waited for.
func (s *Set) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	last := s.current.Swap(nil)
	s.mu.Unlock()
	if last != nil {
		last.retire()
	}
	var err error
	for _, g := range s.all() {
		if !g.finish(ctx) {
			err = ctx.Err()
		}
	}
	return err
}

// acquire takes the generation in use for an exchange; nil once the set is
// closed. One that was left in the meantime is given back: it would take longer
// to drain.
func (s *Set) acquire() *generation {
	for {
		g := s.current.Load()
		if g == nil {
			return nil
		}
		if !g.enter() {
			continue
		}
		if s.current.Load() == g {
			return g
		}
		g.leave()
	}
}

// replace puts a new generation in the place of old, unless another did.
func (s *Set) replace(cause context.Context, old *generation, why policy.Reason, note string) {
	s.mu.Lock()
	if s.closed || s.current.Load() != old {
		s.mu.Unlock()
		return
	}
	s.begin()
	s.mu.Unlock()
	old.retire()
	s.config.Watch.Note(cause, policy.Decision{Action: policy.ActionRotate, Reason: why, Note: note})
}

// begin puts a new generation in use. s.mu is held.
func (s *Set) begin() {
	g := newGeneration(s, s.base)
	s.generations[g] = struct{}{}
	s.current.Store(g)
}

func (s *Set) forget(g *generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.generations, g)
}

func (s *Set) all() []*generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*generation, 0, len(s.generations))
	for g := range s.generations {
		all = append(all, g)
	}
	return all
}
