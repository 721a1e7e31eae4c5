package pool

import (
	"time"
)

// Snapshot is a [Transport] at one moment. Durations are in nanoseconds in JSON.
type Snapshot struct {
	Targets []TargetSnapshot `json:"targets"` // by name
	// Unmanaged is what runs over the connections that the targets beyond
	// MaxTargets share; its Address is empty.
	Unmanaged EndpointSnapshot `json:"unmanaged"`
	// BalancerErr is the first failure of the [Balancer].
	BalancerErr string `json:"balancer_error,omitempty"`
}

// TargetSnapshot is a target: a scheme, host and port.
type TargetSnapshot struct {
	Name    string        `json:"name"`            // "https://api.example.com:443"
	Proxy   string        `json:"proxy,omitempty"` // without its password
	Unused  time.Duration `json:"unused"`          // since the last request, to within a second
	Healthy int           `json:"healthy"`         // endpoints
	// Panic says that too few are healthy, so that all get requests.
	Panic     bool               `json:"panic"`
	Resolver  ResolverSnapshot   `json:"resolver"`
	Endpoints []EndpointSnapshot `json:"endpoints"`
}

// ResolverSnapshot is what is known of where a target can be reached.
type ResolverSnapshot struct {
	LastGood time.Time `json:"last_good,omitzero"`   // answer; zero: none, or nothing to resolve
	Stale    int       `json:"stale,omitempty"`      // lookups since then that failed
	Err      string    `json:"last_error,omitempty"` // of the last lookup, if it failed
}

// EndpointState is whether an endpoint gets requests.
type EndpointState string

// The states of an endpoint.
const (
	EndpointHealthy EndpointState = "healthy"
	EndpointStarts  EndpointState = "slow_start" // gets a growing share
	EndpointEjected EndpointState = "ejected"    // gets none, unless its target is in panic
)

// EndpointSnapshot is one address of a target.
type EndpointSnapshot struct {
	Address string        `json:"address"` // "ip:port"; empty: what net/http dials, such as a proxy
	State   EndpointState `json:"state"`
	// EjectedUntil is when it returns; zero: when it answers probes.
	EjectedUntil time.Time      `json:"ejected_until,omitzero"`
	Share        float64        `json:"share"`             // of its requests that it is to get
	InFlight     int            `json:"in_flight"`         // requests
	Waiting      int            `json:"waiting,omitempty"` // more, for their turn
	Latency      time.Duration  `json:"latency"`           // smoothed time to the response headers
	Failures     int            `json:"failures"`          // in a row
	Ejections    int            `json:"ejections"`         // so far
	Generations  int            `json:"generations"`       // of connections: one in use, others that drain
	Conns        []ConnSnapshot `json:"conns,omitempty"`
}

// ConnSnapshot is one connection.
type ConnSnapshot struct {
	Local    string        `json:"local"` // address
	Age      time.Duration `json:"age"`
	Expires  time.Duration `json:"expires,omitempty"`  // until then; zero: never
	Protocol string        `json:"protocol,omitempty"` // "http/1.1" or "h2", once known
	Draining bool          `json:"draining,omitempty"` // is left for a new one
	Requests int           `json:"requests"`           // carried so far
	InFlight int           `json:"in_flight"`          // carried now
}

// Snapshot returns the state of everything, for consoles and tests. Its parts
// are taken one after the other.
func (t *Transport) Snapshot() Snapshot {
	at := momentOf(time.Now())
	s := Snapshot{Targets: []TargetSnapshot{}} // a list in JSON, too
	for _, tgt := range t.targets.list() {
		s.Targets = append(s.Targets, tgt.snapshot(at))
	}
	s.Unmanaged = t.spare.snapshot(health{}, at)
	if err := t.misled.Load(); err != nil {
		s.BalancerErr = (*err).Error()
	}
	return s
}

func (tgt *target) snapshot(at moment) TargetSnapshot {
	s := TargetSnapshot{Name: tgt.name, Unused: max(0, at.since(moment(tgt.used.Load()))), Endpoints: []EndpointSnapshot{}}
	if tgt.proxy != nil {
		s.Proxy = tgt.proxy.Redacted()
	}
	all, healths := tgt.healths(&s.Resolver)
	if r := tgt.rotation.Load(); r != nil {
		s.Healthy, s.Panic = r.healthy, r.panicking
	}
	for i, e := range all {
		s.Endpoints = append(s.Endpoints, e.snapshot(healths[i], at))
	}
	return s
}

// healths copies what mu guards.
func (tgt *target) healths(r *ResolverSnapshot) ([]*endpoint, []health) {
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	if tgt.resolution.known {
		r.LastGood, r.Stale = tgt.resolution.good.time(), tgt.resolution.stale
	}
	if err := tgt.resolution.err; err != nil {
		r.Err = err.Error()
	}
	healths := make([]health, len(tgt.all))
	for i, e := range tgt.all {
		healths[i] = e.health
	}
	return append([]*endpoint(nil), tgt.all...), healths
}

func (e *endpoint) snapshot(h health, at moment) EndpointSnapshot {
	s := EndpointSnapshot{
		Address: e.address, State: EndpointHealthy, Share: e.share(at), InFlight: e.inFlight(),
		Latency: e.latency.at(at), Failures: int(e.tally.inARow.Load()), Ejections: h.ejections,
	}
	switch {
	case h.ejected:
		s.State, s.Share = EndpointEjected, 0
		if h.until != never {
			s.EjectedUntil = h.until.time()
		}
	case s.Share < 1:
		s.State = EndpointStarts
	}
	if e.limit != nil {
		s.Waiting = e.limit.Stats().Queued
		s.InFlight = max(0, s.InFlight-s.Waiting)
	}
	stats := e.set.Stats()
	s.Generations = stats.Generations
	for _, c := range stats.Conns {
		conn := ConnSnapshot{Age: c.Age, Expires: c.Expires, Protocol: c.Protocol, Draining: c.Draining, Requests: c.Requests, InFlight: c.InFlight}
		if c.Local != nil {
			conn.Local = c.Local.String()
		}
		s.Conns = append(s.Conns, conn)
	}
	return s
}
