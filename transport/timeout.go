package transport

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Row 9: the attempt timeout to the headers, and after them the idle timeout of
// the body. One timer serves both, and the total deadline too.

// attemptClock is what the timer looks at when it fires; moving it costs a
// store.
type attemptClock struct {
	moved   atomic.Int64 // when the request body last moved; zero: never
	reading atomic.Int64 // since when a Read of the response body waits; zero: none does
	headers bool         // they have arrived; guarded by the lazy context's lock
}

// expire tells the timer how long the try may still take.
func (a *attempt) expire() (time.Duration, error) {
	if a.clock.headers {
		return a.bodyLeft()
	}
	c := a.call
	if eventStream(c.req.Header) {
		return -1, nil
	}
	at := now()
	moved := a.clock.moved.Load()
	left := time.Duration(-1)
	if total := c.total(); total > 0 {
		left = total - time.Duration(at-latest(c.anchor.Load(), moved))
		if left <= 0 {
			return 0, c.timeout(policy.ReasonTotalTimeout, total, a.number)
		}
	}
	limit := c.timeouts.Attempt
	if limit <= 0 {
		return left, nil
	}
	mine := limit - time.Duration(at-latest(a.began, moved))
	switch {
	case mine > 0 && (left < 0 || mine < left):
		return mine, nil
	case mine > 0 || !a.repeatable():
		return left, nil // nothing would be won by cutting it
	}
	return 0, c.timeout(policy.ReasonAttemptTimeout, limit, a.number)
}

// cut ends a request body that stalls, for net/http's HTTP/1 waits for its Read
// even when the context has ended.
func (a *attempt) cut() func() {
	if a.upload == nil {
		return nil
	}
	return func() { a.sending().cut() }
}

// latest is the later of two moments, the second of which may be none.
func latest(a, b int64) int64 {
	if b == 0 {
		return a
	}
	return max(a, b)
}

func (a *attempt) bodyLeft() (time.Duration, error) {
	idle := a.call.timeouts.BodyIdle
	if idle <= 0 {
		return -1, nil
	}
	since := a.clock.reading.Load()
	if since == 0 {
		return idle, nil
	}
	if left := idle - time.Duration(now()-since); left > 0 {
		return left, nil
	}
	return 0, a.call.timeout(policy.ReasonBodyStalled, idle, a.number)
}

// tellTimeout tells that time was up before the headers.
func (a *attempt) tellTimeout(err error) {
	own, ok := errors.AsType[*policy.Error](err)
	if !ok || !a.call.observed || !errors.Is(own, policy.ErrTimeout) {
		return
	}
	a.call.decide(a, policy.Decision{
		Policy: policy.PolicyTimeout, Action: policy.ActionTimeout, Reason: own.Reason,
		Began: timeOf(a.began), Took: time.Duration(now() - a.began), Err: err,
	})
}

// headersArrived ends the try's own time; false when it was up before.
func (a *attempt) headersArrived() bool {
	moved := a.clock.moved.Load()
	ok := a.rearm(a, func() { a.clock.headers = true })
	if moved != 0 {
		a.call.anchor.Store(latest(a.call.anchor.Load(), moved)) // the upload's time is not the next try's
		a.call.record.began = a.call.anchor.Load()               // nor the next hop's
	}
	return ok
}
