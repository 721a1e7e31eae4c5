package main

import (
	"fmt"
	"time"

	"github.com/magnetar-go/magnetar/pool"
)

// state is a server as the pool sees it.
type state struct {
	name           string
	detail         string
	inFlight       int
	oldest, newest time.Duration // connections
}

func (s state) String() string { return s.name + s.detail }

// states are those of the servers, by address.
func (v *view) states() map[string]state {
	states := make(map[string]state)
	for _, s := range v.fleet.servers {
		states[s.address] = state{name: "not in DNS"}
	}
	for _, tgt := range v.pool.Snapshot().Targets {
		for _, e := range tgt.Endpoints {
			states[e.Address] = stateOf(e, v.events)
		}
	}
	return states
}

func stateOf(e pool.EndpointSnapshot, seen *events) state {
	s := state{name: string(e.State), inFlight: e.InFlight}
	switch e.State {
	case pool.EndpointEjected:
		s.detail = fmt.Sprintf(" for %s, %.1f s left", seen.lastEjection(e.Address), time.Until(e.EjectedUntil).Seconds())
	case pool.EndpointStarts:
		s.detail = fmt.Sprintf(", share %.0f %%", 100*e.Share)
	}
	for _, c := range e.Conns {
		s.oldest = max(s.oldest, c.Age)
		if s.newest == 0 || c.Age < s.newest {
			s.newest = c.Age
		}
	}
	return s
}
