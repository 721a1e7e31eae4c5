package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/magnetar-go/magnetar/policy"
)

// Shed refuses what the server has no room for, with 503 and Retry-After. With
// a Limit of 0 it finds out by itself how much that is. It is the short form of
// [NewShedder] and panics on what that reports as an error.
func Shed(cfg policy.ConcurrencyConfig, opts ...Option) func(http.Handler) http.Handler {
	s, err := NewShedder(cfg, opts...)
	if err != nil {
		panic(fmt.Errorf("magnetar: invalid Shed:\n%w", err))
	}
	return s.Handler
}

// Shedder is a limit on the requests in flight, with lanes beside it for what
// says nothing about how busy the server is:
//
//   - the main lane is a [policy.Concurrency]; how long its requests take is
//     what the limit is found by;
//   - health checks have a small lane of their own, see [WithHealth];
//   - streams leave the main lane for theirs, see [WithStream].
//
// Time that a request waits for its own client, to send a body or to read the
// response, is left out, and a client that keeps it waiting for more than 50 ms
// has its place given to others meanwhile.
//
// In shadow mode nobody is kept waiting: who would have had to counts as refused.
//
// One Shedder may guard any number of routes: they share its lanes.
type Shedder struct {
	settings settings
	observer policy.Observer
	results  policy.ResultObserver
	main     *policy.Concurrency
	health   *policy.Concurrency
	streams  *policy.Concurrency
	draining atomic.Bool
	figures  figures
}

// NewShedder returns a Shedder for cfg. The error is what cfg.Validate reports,
// and a fault of the options.
func NewShedder(cfg policy.ConcurrencyConfig, opts ...Option) (*Shedder, error) {
	s := &Shedder{settings: newSettings(opts)}
	var f policy.Faults
	f.Add("", cfg.Validate())
	f.Add("", s.settings.lanes.validate())
	if err := f.Err(); err != nil {
		return nil, err
	}
	s.observer = s.settings.decider()
	s.main = newMainLane(s.settings.tried(cfg), s.observer)
	s.health = newHealthLane(s.observer)
	s.streams = newStreamLane(s.settings.lanes.maxStreams())
	watched := policy.Observers(s.settings.observers...)
	s.results = policy.ResultObservers(watched)
	policy.Watch(watched, s, (*Shedder).statuses)
	return s, nil
}

// Handler is the middleware. A request that passes several Handlers of one
// Shedder is counted once: it is known by its ResponseWriter, or by those that
// what lies between unwraps to.
func (s *Shedder) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(next, w, r) })
}

// Update changes the limit of the main lane while it is in use. The error is
// what cfg.Validate reports; then nothing changes.
func (s *Shedder) Update(cfg policy.ConcurrencyConfig) error {
	return s.main.Update(s.settings.tried(cfg))
}

// Drain refuses all requests from now on, those in the queue too, except for
// health checks, and waits for those in flight. Over HTTP/1 every response from
// now on closes its connection. Streams and hijacked connections are waited for
// as well: tell them to end beforehand. When ctx ends first Drain returns its
// cause, and what is in flight goes on. Call it before [http.Server.Shutdown].
func (s *Shedder) Drain(ctx context.Context) error {
	s.draining.Store(true)
	if err := s.main.Drain(ctx); err != nil {
		return err
	}
	return s.streams.Drain(ctx)
}

func (s *Shedder) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if s.counts(w) {
		next.ServeHTTP(w, r)
		return
	}
	ctx, ranked := s.settings.standing(r)
	told := s.settings.inbound(ctx, r)
	t, err := s.enter(told, r)
	if err != nil && !s.settings.shadow {
		s.turnAway(told, w, r, err)
		return
	}
	x := &exchange{
		shedder: s, rw: w, req: r, told: told,
		ticket: t, sampled: t.lane == mainLane && err == nil,
	}
	if ranked {
		r = r.WithContext(ctx)
	}
	x.serve(next, r)
}

// counts reports whether w is that of a request which s has let in.
func (s *Shedder) counts(w http.ResponseWriter) bool {
	for {
		if k, ok := w.(interface{ self() *writer }); ok && k.self().shedder == s {
			return true
		}
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = outer.Unwrap()
	}
}

// turnAway answers a request that did not get in. A client that has gone gets
// no answer; 499 is for those who log.
func (s *Shedder) turnAway(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		s.tell(ctx, policy.Decision{Action: policy.ActionGiveUp, Reason: policy.ReasonClientGone, Err: err})
		w.WriteHeader(statusClientGone)
		return
	}
	refusal, ok := errors.AsType[*policy.Error](err)
	if !ok { // its deadline passed in the queue
		refusal = &policy.Error{Reason: policy.ReasonDeadlineUnmeetable, Policy: policy.PolicyShed, Err: err}
	}
	s.settings.refuse(w, r, refusal)
}

// statusClientGone is what nginx logs for a client that closed the request.
const statusClientGone = 499

// closeAfter closes the connection after the response. HTTP/2 has no such
// header, and http.Server says goodbye by itself.
func closeAfter(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
}
