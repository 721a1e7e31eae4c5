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
	var ages ages
	now := p.now()
	for _, c := range p.conns {
		ages.add(time.Duration(now - c.created))
	}
	status.Oldest, status.Newest = ages.oldest, ages.newest
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
	var ages ages
	for _, c := range e.Conns {
		if c.InFlight > 0 {
			s.Active++
		} else {
			s.Idle++
		}
		ages.add(c.Age)
	}
	s.Oldest, s.Newest = ages.oldest, ages.newest
	return s
}

// ages is the range of the ages of n connections.
type ages struct {
	n              int
	oldest, newest time.Duration
}

func (a *ages) add(age time.Duration) {
	if a.n == 0 || age < a.newest {
		a.newest = age
	}
	a.oldest = max(a.oldest, age)
	a.n++
}
