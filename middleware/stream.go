package middleware

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// streamAfter is how long after its first Flush a handler that still runs is
// taken to be a stream.
const streamAfter = time.Second

// streams reports whether a response that begins with status is a stream.
func (x *exchange) streams(status int) bool {
	switch {
	case status == http.StatusSwitchingProtocols:
		return true
	case status < 300 && x.req.Method == http.MethodConnect:
		return true
	}
	types := x.rw.Header()["Content-Type"]
	return len(types) > 0 && strings.HasPrefix(types[0], "text/event-stream")
}

// flush notes a Flush. The first one starts the clock; what that finds out is
// told on another goroutine.
func (x *exchange) flush() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.sampled { // nobody finds out whether it is a stream
		x.began = time.Time{}
	} else if x.flushed.IsZero() {
		x.told = settled(x.told)
		x.flushed = time.Now()
		x.arm(x.flushed, streamAfter)
	}
}

// leave moves the request from the main to the streams' lane. If that is full
// it stays, but its time does not count.
func (x *exchange) leave() {
	permit, ok := x.moveOver()
	if !ok {
		return
	}
	ctx := context.WithoutCancel(x.told) // that the client has gone is no missed deadline
	permit.Done(ctx, policy.Ignored)
	x.shedder.figures.streamed.Add(1)
	x.shedder.tellStream(ctx, policy.Decision{Action: policy.ActionBypass, Reason: policy.ReasonStream})
}

func (x *exchange) moveOver() (policy.Permit, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.began = time.Time{}
	if !x.sampled {
		return policy.Permit{}, false
	}
	if !x.placed && !x.take() {
		x.dropped = true
		x.shedder.figures.stayed.Add(1)
		return policy.Permit{}, false
	}
	permit := x.ticket.permit
	x.ticket.permit, x.sampled = policy.Permit{}, false
	return permit, true
}

// take takes a place in the streams' lane, told to nobody; mu must be held.
func (x *exchange) take() bool {
	place, err := x.shedder.streams.Admit(context.Background())
	if err != nil {
		return false
	}
	x.ticket.place, x.placed = place, true
	return true
}

func (s *Shedder) tellStream(ctx context.Context, d policy.Decision) {
	if !wants(ctx, s.observer) {
		return
	}
	st := s.streams.Stats()
	d.Key, d.Limit, d.InFlight = streamKey, st.Limit, st.InFlight
	s.tell(ctx, d)
}

func (s *Shedder) tell(ctx context.Context, d policy.Decision) {
	if !wants(ctx, s.observer) {
		return
	}
	d.Policy, d.Began, d.Priority = policy.PolicyShed, time.Now(), policy.PriorityFromContext(ctx)
	s.observer.Observe(ctx, d)
}

func wants(ctx context.Context, o policy.Observer) bool {
	if e, ok := o.(policy.Enabler); ok {
		return e.Enabled(ctx)
	}
	return o != nil
}
