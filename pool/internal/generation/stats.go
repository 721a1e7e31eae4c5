package generation

import (
	"net"
	"time"
)

// Stats is a snapshot.
type Stats struct {
	Generations int // the one in use and those that drain
	InFlight    int
	Conns       []Conn
}

// Conn is a connection as it stands.
type Conn struct {
	Local    net.Addr
	Age      time.Duration
	Expires  time.Duration // until then, negative when it is over; 0: never
	Protocol string        // "http/1.1", "h2"; empty until known
	Draining bool
	Requests int // carried so far
	InFlight int // carried now
}

// Stats tells how the set stands.
func (s *Set) Stats() Stats {
	stats, now := Stats{}, clock()
	current := s.current.Load()
	for _, g := range s.all() {
		stats.Generations++
		stats.InFlight += g.inFlight()
		for _, c := range g.tracked() {
			stats.Conns = append(stats.Conns, c.stat(now, g != current))
		}
	}
	return stats
}

func (c *conn) stat(now int64, draining bool) Conn {
	stat := Conn{
		Local:    c.LocalAddr(),
		Age:      time.Duration(now - c.born),
		Protocol: protocolNames[c.protocol.Load()],
		Draining: draining,
		Requests: int(c.requests.Load()),
		InFlight: int(c.busy.Load()),
	}
	if c.expires != never {
		stat.Expires = time.Duration(c.expires - now)
	}
	return stat
}
