package transport

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Row 5, the throttle: a 429 with Retry-After speaks for all calls of the key,
// so all of them wait for it. When the hold is over they are let go one at a
// time at first, and one more for each that comes back well, as in TCP's slow
// start (RFC 5681, section 3.1), so that the peer is not met by a stampede.

// throttleAfter is how many 503 with Retry-After in a row hold the key, if they
// have gone on for throttleFor. One may speak for a single instance behind the
// host, and a server that sheds what it has no room for refuses twenty calls
// between two that it answers.
const (
	throttleAfter = 20
	throttleFor   = time.Second
)

type throttle struct {
	cfg     Throttle
	active  atomic.Bool  // held or ramping: admit must look
	delayed atomic.Int32 // 503 with Retry-After in a row
	since   atomic.Int64 // when the first of them came, as now() tells it

	mu       sync.Mutex
	until    time.Time // end of the hold
	window   int       // calls let go at a time while ramping
	inFlight int
	round    int                  // of hold and ramp; permits of an earlier one do not count
	queue    []chan policy.Permit // of the zero Permit: ask again
}

func newThrottle(cfg Throttle) *throttle { return &throttle{cfg: cfg} }

func (a *attempt) admitThrottle() (err error) {
	if t := a.call.state.throttle; t != nil && t.active.Load() {
		a.call.clock = 0
		a.ramp, err = a.call.waitThrottled(t)
	}
	return err
}

// learnThrottle takes note of what the response says about the key.
func (a *attempt) learnThrottle(resp *http.Response) {
	t := a.call.state.throttle
	if t == nil {
		return
	}
	reason := t.learn(resp)
	if reason == "" {
		if resp != nil {
			a.ramp.Done(a, rampOutcome(resp))
		}
		return
	}
	asked, _ := retryAfter(resp.Header)
	hold := min(asked, t.cfg.MaxHold)
	t.hold(time.Now().Add(hold))
	a.call.decide(a, policy.Decision{
		Policy: policy.PolicyThrottle, Action: policy.ActionHold, Reason: reason, RetryAfter: hold,
	})
}

// rampOutcome tells whether a response makes room for more: not if the peer
// had none for this call.
func rampOutcome(resp *http.Response) policy.Outcome {
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		return policy.Ignored
	}
	return policy.Success
}

// learn tells why a response holds the key, or "".
func (t *throttle) learn(resp *http.Response) policy.Reason {
	if resp != nil {
		switch resp.StatusCode {
		case http.StatusTooManyRequests:
			if d, ok := retryAfter(resp.Header); ok && d > 0 {
				return policy.ReasonTooManyRequests
			}
			return ""
		case http.StatusServiceUnavailable:
			if d, ok := retryAfter(resp.Header); ok && d > 0 {
				return t.unavailable()
			}
		}
	}
	if t.delayed.Load() != 0 {
		t.delayed.Store(0)
	}
	return ""
}

// unavailable counts one more 503 in a row.
func (t *throttle) unavailable() policy.Reason {
	n := t.delayed.Add(1)
	if n == 1 {
		t.since.Store(now())
	}
	if n < throttleAfter || now()-t.since.Load() < int64(throttleFor) {
		return ""
	}
	return policy.ReasonUnavailable
}

func (t *throttle) hold(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = later(t.until, until)
	t.window, t.inFlight = 1, 0
	t.round++
	t.active.Store(true)
	for _, place := range t.queue { // they wait for the hold now
		place <- policy.Permit{}
	}
	t.queue = nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// waitThrottled waits for the end of the hold and then for a place in the ramp.
func (c *call) waitThrottled(t *throttle) (policy.Permit, error) {
	began := time.Now()
	latest := c.latest(t, began)
	waited := policy.Reason("")
	for {
		wait, place, permit, ok := t.enter(latest)
		switch {
		case ok:
		case wait < 0:
			return permit, c.heldBack(began, t.heldFor())
		default:
			if place == nil {
				waited = policy.ReasonKeyHeld
			} else if waited == "" {
				waited = policy.ReasonRamp
			}
			var err error
			if permit, err = c.pause(wait, place, t); err != nil {
				return permit, err
			}
			ok = permit != (policy.Permit{})
		}
		if ok {
			c.letGo(waited, began)
			return permit, nil
		}
		if !time.Now().Before(latest) {
			return permit, c.heldBack(began, t.heldFor())
		}
	}
}

// letGo tells of a call that waited.
func (c *call) letGo(waited policy.Reason, began time.Time) {
	if waited != "" {
		c.decide(c, policy.Decision{
			Policy: policy.PolicyThrottle, Action: policy.ActionWait, Reason: waited,
			Began: began, Took: time.Since(began),
		})
	}
}

// latest is until when a call waits for the throttle.
func (c *call) latest(t *throttle, now time.Time) time.Time {
	most := now.Add(max(0, t.cfg.MaxWait))
	if at, bounded := c.Deadline(); bounded && at.Before(most) {
		return at
	}
	return most
}

// pause waits for a place in the ramp, or for a hold to end. It returns the
// permit of the place, or the zero Permit when the call must ask again.
func (c *call) pause(wait time.Duration, place chan policy.Permit, t *throttle) (policy.Permit, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case p := <-place:
		return p, nil
	case <-timer.C:
		t.leave(place)
		return policy.Permit{}, nil
	case <-c.ctx.Done():
		t.leave(place)
		return policy.Permit{}, context.Cause(c.ctx)
	}
}

func (c *call) heldBack(began time.Time, held time.Duration) error {
	c.decide(c, policy.Decision{
		Policy: policy.PolicyThrottle, Action: policy.ActionRefuse, Reason: policy.ReasonKeyHeld,
		Began: began, Took: time.Since(began), RetryAfter: held,
	})
	return &policy.Error{Reason: policy.ReasonKeyHeld, Policy: policy.PolicyThrottle, Key: c.state.name, RetryAfter: held}
}

// enter lets a call go, or says how long to wait, and for which place in the
// queue of the ramp, if not for the hold. A negative wait does not fit.
func (t *throttle) enter(latest time.Time) (time.Duration, chan policy.Permit, policy.Permit, bool) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.active.Load() {
		return 0, nil, policy.Permit{}, true
	}
	if now.Before(t.until) {
		if t.until.After(latest) {
			return -1, nil, policy.Permit{}, false
		}
		return t.until.Sub(now), nil, policy.Permit{}, false
	}
	if t.inFlight < t.window {
		return 0, nil, t.permit(), true
	}
	if !now.Before(latest) {
		return -1, nil, policy.Permit{}, false
	}
	place := make(chan policy.Permit, 1)
	t.queue = append(t.queue, place)
	return latest.Sub(now), place, policy.Permit{}, false
}

// permit takes a place; it requires mu.
func (t *throttle) permit() policy.Permit {
	t.inFlight++
	round := t.round
	return policy.NewPermit(func(_ context.Context, o policy.Outcome) { t.done(round, o) })
}

// done ends a call of the ramp. A good one makes room for two, and when nobody
// waits any more the ramp is over.
func (t *throttle) done(round int, o policy.Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if round != t.round {
		return
	}
	t.inFlight--
	if o == policy.Success {
		t.window++
		if len(t.queue) == 0 {
			t.active.Store(false)
			return
		}
	}
	t.wake()
}

// wake hands the places that there are to those who have waited longest; it
// requires mu.
func (t *throttle) wake() {
	for t.inFlight < t.window && len(t.queue) > 0 {
		t.queue[0] <- t.permit() // has room for one
		t.queue = t.queue[1:]
	}
}

// leave gives up waiting, and the place if it came at the same moment.
func (t *throttle) leave(place chan policy.Permit) {
	if place == nil || t.unqueue(place) {
		return
	}
	p := <-place // it left the queue by getting this
	p.Done(context.Background(), policy.Ignored)
}

// unqueue reports whether place was still in the queue.
func (t *throttle) unqueue(place chan policy.Permit) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, p := range t.queue {
		if p == place {
			t.queue = append(t.queue[:i], t.queue[i+1:]...)
			return true
		}
	}
	return false
}

func (t *throttle) heldFor() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.active.Load() {
		return 0
	}
	return max(0, time.Until(t.until))
}

func (t *throttle) idle() bool { return !t.active.Load() || t.heldFor() == 0 }
