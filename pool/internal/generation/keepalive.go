package generation

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// idleness is what is known of how long the endpoint keeps idle connections:
// from its Keep-Alive header (RFC 2068, section 19.7.1.1), or else from seeing
// it close them.
type idleness struct {
	known atomic.Int64 // the shortest time; 0: none is known
	rtt   atomic.Int64 // the shortest dial; 0: there was none

	mu     sync.Mutex
	closes []idleClose
}

// idleClose is a connection that the server closed.
type idleClose struct {
	at   int64
	idle time.Duration
}

// idleLimit is how long a connection may be idle; 0: whatever is configured;
// negative: no time at all.
type idleLimit time.Duration

const (
	// leastIdle is below what a busy machine may take between choosing a
	// connection and the request's arrival: with less there is no safe time to
	// reuse one.
	leastIdle = 10 * time.Millisecond
	// agreeing closes teach, if each at another moment than the others: a server
	// that stops closes all at once.
	agreeing      = 3
	closesKept    = 8
	otherMoment   = time.Second // or half the idle time, if that is less
	longKeepAlive = 24 * time.Hour
)

// hear learns from the header of a response.
func (s *Set) hear(x *Exchange, resp *http.Response) {
	if resp.ProtoMajor != 1 {
		return
	}
	if said := resp.Header["Keep-Alive"]; len(said) > 0 {
		if d, ok := keepAlive(said); ok {
			s.expect(x.parent, d)
		}
	}
}

// observe learns from a connection that was closed at a time after it had been
// idle for a while.
func (s *Set) observe(at int64, idle time.Duration) {
	if d, ok := s.idle.observed(idleClose{at, idle}); ok {
		s.expect(context.Background(), d)
	}
}

// expect has idle connections left before the endpoint closes them, after d.
func (s *Set) expect(cause context.Context, d time.Duration) {
	if !s.idle.lower(d) {
		return
	}
	g := s.current.Load()
	if g == nil || g.transport.DisableKeepAlives {
		return
	}
	allowed, now := s.idle.allowed(), g.transport.IdleConnTimeout
	if allowed < 0 || now == 0 || now > time.Duration(allowed) {
		s.replace(cause, g, policy.ReasonKeepAlive, "")
	}
}

// lower reports whether d is shorter than what was known, by enough to matter.
func (i *idleness) lower(d time.Duration) bool {
	for {
		known := i.known.Load()
		if d <= 0 || known != 0 && int64(d) > known-known/10 {
			return false
		}
		if i.known.CompareAndSwap(known, int64(d)) {
			return true
		}
	}
}

// allowed leaves a fifth of the endpoint's time as a margin, and a round trip at
// least.
func (i *idleness) allowed() idleLimit {
	known := time.Duration(i.known.Load())
	if known == 0 {
		return 0
	}
	left := known - max(known/5, time.Duration(i.rtt.Load()))
	if left < leastIdle {
		return -1
	}
	return idleLimit(left)
}

func (i *idleness) connected(took time.Duration) {
	for {
		rtt := i.rtt.Load()
		if rtt != 0 && int64(took) >= rtt || i.rtt.CompareAndSwap(rtt, max(int64(took), 1)) {
			return
		}
	}
}

// observed returns the shortest of enough closes that agree within a fifth.
func (i *idleness) observed(seen idleClose) (time.Duration, bool) {
	if seen.idle <= 0 {
		return 0, false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	shortest, count, last := seen.idle, 1, seen.at
	apart := min(seen.idle/2, otherMoment)
	for _, c := range slices.Backward(i.closes) {
		if (c.idle-seen.idle).Abs() > seen.idle/5 || time.Duration(last-c.at) < apart {
			continue
		}
		shortest, last = min(shortest, c.idle), c.at
		count++
	}
	if len(i.closes) == closesKept {
		i.closes = append(i.closes[:0], i.closes[1:]...)
	}
	i.closes = append(i.closes, seen)
	return shortest, count >= agreeing
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
