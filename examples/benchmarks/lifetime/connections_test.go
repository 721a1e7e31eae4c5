package lifetime

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections are those that a base has dialled.
type connections struct {
	mu sync.Mutex
	// Guarded by mu:
	open    map[*conn]struct{}
	dialled int
	most    int // open at a time
	oldest  time.Duration
}

// conn tells when it is closed.
type conn struct {
	net.Conn

	of    *connections
	since time.Time
}

// newBase is [http.DefaultTransport] with as many idle connections as there are
// workers, and count of those it dials.
func newBase(of *connections) *http.Transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = workers
	dial := base.DialContext
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return of.add(c), nil
	}
	return base
}

func (s *connections) add(c net.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := &conn{Conn: c, of: s, since: time.Now()}
	if s.open == nil {
		s.open = make(map[*conn]struct{})
	}
	s.open[added] = struct{}{}
	s.dialled++
	s.most = max(s.most, len(s.open))
	return added
}

func (c *conn) Close() error {
	c.of.closed(c)
	return c.Conn.Close()
}

func (s *connections) closed(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.open[c]; ok {
		delete(s.open, c)
		s.oldest = max(s.oldest, time.Since(c.since))
	}
}

// counted is how many were dialled, and the most that were open at a time. The base may
// dial on its own for a while after the last call.
func (s *connections) counted() (dialled, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialled, s.most
}

// left is how many are open.
func (s *connections) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// age is that of the oldest, those that are open included.
func (s *connections) age() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := s.oldest
	for c := range s.open {
		oldest = max(oldest, time.Since(c.since))
	}
	return oldest
}
