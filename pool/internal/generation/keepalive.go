package generation

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// longKeepAlive is more than a server can mean.
const longKeepAlive = 24 * time.Hour

// hear learns from a response: from its header, and from the connection that it
// came over.
func (s *Set) hear(x *Exchange, resp *http.Response) {
	if resp.ProtoMajor != 1 {
		return
	}
	if resp.Close && x.conn != nil {
		x.conn.leaving.Store(true)
	}
	s.idle.suspect.survived(x.idle)
	if said := resp.Header["Keep-Alive"]; len(said) > 0 {
		if d, ok := keepAlive(said); ok {
			s.expect(x.parent, x.now, d)
		}
	}
	if s.idle.due(x.now) {
		s.tryAgain(x.parent, x.now)
	}
}

// observe learns from a connection that the endpoint closed at a time, after it
// had been idle for a while.
func (s *Set) observe(at int64, idle time.Duration) {
	if d, ok := s.idle.suspect.closed(at, idle); ok {
		s.expect(context.Background(), at, d)
	}
}

// expect has idle connections left before the endpoint closes them, after d.
func (s *Set) expect(cause context.Context, now int64, d time.Duration) {
	if !s.idle.learn(now, d) {
		return
	}
	g := s.current.Load()
	if g == nil || g.transport.DisableKeepAlives {
		return
	}
	allowed, limit := s.idle.allowed(), g.transport.IdleConnTimeout
	if allowed < 0 || limit == 0 || limit > time.Duration(allowed) {
		s.replace(cause, g, policy.ReasonKeepAlive, "")
	}
}

// tryAgain forgets what is known and keeps connections for as long as is
// configured: the endpoint may be another by now, or it was an error.
func (s *Set) tryAgain(cause context.Context, now int64) {
	g := s.current.Load()
	if !s.idle.forget(now) {
		return
	}
	if g != nil && g.hurried {
		s.replace(cause, g, policy.ReasonKeepAlive, "what was known is old")
	}
}

// keepAlive reads the shortest timeout of a Keep-Alive header. What cannot be
// meant is left out: no time, less than none, more than a day.
func keepAlive(header []string) (shortest time.Duration, ok bool) {
	for _, line := range header {
		for param := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(param, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "timeout") {
				continue
			}
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 32)
			d := time.Duration(n) * time.Second
			if err != nil || d == 0 || d > longKeepAlive {
				continue
			}
			if !ok || d < shortest {
				shortest, ok = d, true
			}
		}
	}
	return shortest, ok
}
