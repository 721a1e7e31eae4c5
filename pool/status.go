package pool

import (
	"iter"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// statuses yields how full the pool is, and how old its connections are.
func (p *Pool[T]) statuses() iter.Seq[policy.Status] {
	return func(yield func(policy.Status) bool) { yield(p.status()) }
}

func (p *Pool[T]) status() policy.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats()
	status := policy.Status{
		Policy: policy.PolicyPool, Key: p.key, Limit: s.MaxSize, Queued: s.Waiting,
		Active: s.Active, Idle: s.Idle, Creating: s.Creating,
	}
	now := p.now()
	for _, c := range p.conns {
		count(&status, time.Duration(now-c.created))
	}
	return status
}

// statuses yields how every endpoint of every target stands.
func (t *Transport) statuses() iter.Seq[policy.Status] {
	return func(yield func(policy.Status) bool) {
		for _, tgt := range t.Snapshot().Targets {
			for _, e := range tgt.Endpoints {
				if !yield(e.status(tgt.Name)) {
					return
				}
			}
		}
	}
}

func (e *EndpointSnapshot) status(target string) policy.Status {
	s := policy.Status{
		Policy: policy.PolicyPool, Key: target, Endpoint: e.Address, State: string(e.State),
		InFlight: e.InFlight, Queued: e.Waiting, Failures: e.Failures, Latency: e.Latency, Ejections: e.Ejections,
	}
	if !e.EjectedUntil.IsZero() {
		s.RetryAfter = max(0, time.Until(e.EjectedUntil))
	}
	for _, c := range e.Conns {
		if c.InFlight > 0 {
			s.Active++
		} else {
			s.Idle++
		}
		count(&s, c.Age)
	}
	return s
}

// count widens the ages in s by that of one more connection.
func count(s *policy.Status, age time.Duration) {
	if s.Oldest == 0 || age < s.Newest {
		s.Newest = age
	}
	s.Oldest = max(s.Oldest, age)
}
