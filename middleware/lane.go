package middleware

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

type lane uint8

const (
	mainLane lane = iota
	healthLane
	streamLane
)

// ticket is what a request holds: the permit of the main or the health lane,
// and a place in the streams' lane.
type ticket struct {
	lane    lane
	claimed bool // a place was taken beforehand, on the client's word
	permit  policy.Permit
	place   policy.Permit
}

// enter lets r into its lane.
func (s *Shedder) enter(ctx context.Context, r *http.Request) (t ticket, err error) {
	switch {
	case s.settings.lanes.isHealth(r):
		t.lane = healthLane
		t.permit, err = s.health.Admit(ctx)
	case s.settings.lanes.isStream(r):
		t.lane = streamLane
		t.place, err = s.enterStreams(ctx)
	case claimsStream(r):
		return s.enterBoth(ctx)
	default:
		t.permit, err = s.main.Admit(ctx)
	}
	return t, err
}

// enterBoth is for a request that only says that it will be a stream.
func (s *Shedder) enterBoth(ctx context.Context) (ticket, error) {
	place, err := s.enterStreams(ctx)
	if err != nil {
		return ticket{}, err
	}
	in := false
	defer func() {
		if !in {
			place.Done(ctx, policy.Ignored)
		}
	}()
	permit, err := s.main.Admit(ctx)
	if err != nil {
		return ticket{}, err
	}
	in = true
	return ticket{claimed: true, permit: permit, place: place}, nil
}

// enterStreams asks the streams' lane, and tells of it. The lane itself tells
// nothing, for a place in it is no admission where one only moves over.
func (s *Shedder) enterStreams(ctx context.Context) (policy.Permit, error) {
	if s.draining.Load() {
		return policy.Permit{}, s.refuseStream(ctx, &policy.Error{Reason: policy.ReasonClosed, Policy: policy.PolicyShed, Key: streamKey})
	}
	place, err := s.streams.Admit(ctx)
	if err != nil {
		return policy.Permit{}, s.refuseStream(ctx, err)
	}
	return place, nil
}

func (s *Shedder) refuseStream(ctx context.Context, err error) error {
	if e, ok := err.(*policy.Error); ok {
		s.tellStream(ctx, policy.Decision{Action: policy.ActionRefuse, Reason: e.Reason, Err: e})
	}
	return err
}

// claimsStream reports whether the connection is to change its protocol or to
// become a tunnel. Clients that offer h2c do so with every request.
func claimsStream(r *http.Request) bool {
	if r.Method == http.MethodConnect {
		return true
	}
	upgrade := r.Header["Upgrade"]
	return len(upgrade) > 0 && !strings.EqualFold(upgrade[0], "h2c")
}

// The keys of the lanes in errors and decisions; the main lane has none.
const (
	healthKey = "health"
	streamKey = "stream"
)

func newMainLane(cfg policy.ConcurrencyConfig, o policy.Observer) *policy.Concurrency {
	return policy.NewConcurrency(cfg, policy.WithName(policy.PolicyShed), policy.WithObserver(o))
}

func newHealthLane(o policy.Observer) *policy.Concurrency {
	return policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 16, MaxQueue: 64, MaxWait: time.Second},
		policy.WithName(policy.PolicyShed), policy.WithKey(healthKey), policy.WithObserver(o))
}

func newStreamLane(limit int) *policy.Concurrency {
	return policy.NewConcurrency(policy.ConcurrencyConfig{Limit: limit},
		policy.WithName(policy.PolicyShed), policy.WithKey(streamKey))
}
