package pool

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// trouble is what is known about failures to make connections since one could be
// made, and the last check that failed.
type trouble struct {
	failures int   // in a row; those at the same time count as one
	until    int64 // the pause
	create   error // the last
	refusal  error // the last of a gate
	check    error
	checkAt  int64
}

// The pauses between creations that fail grow, but not so that callers come and go
// without one.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
	tries        = 4 // at least, while a caller has the patience to wait
)

func newBackoff(acquireTimeout time.Duration) *policy.Retry {
	longest := longestPause
	if acquireTimeout > 0 {
		longest = max(firstPause, min(longest, acquireTimeout/tries))
	}
	return policy.NewRetry(policy.RetryConfig{InitialBackoff: firstPause, MaxBackoff: longest, Multiplier: 2})
}

var errNil = errors.New("it returned nil without an error")

// startCreate makes a connection in the background, so that it is not lost with
// the caller who first needed it: whoever waits when it is there gets it.
func (p *Pool[T]) startCreate(cause context.Context) {
	p.creating++
	go p.create(cause, p.life, p.round, p.trouble.failures)
}

// create makes a connection of a round, as long as that lives; failures is how
// many in a row there were when it began.
func (p *Pool[T]) create(cause, life context.Context, round uint64, failures int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cause), p.cfg.CreateTimeout)
	defer cancel()
	stop := context.AfterFunc(life, cancel)
	defer stop()

	began := p.now()
	value, refusal, err := p.admitted(ctx)
	p.mu.Lock()
	now := p.look()
	var t told[T]
	p.creating--
	if round != p.round {
		p.outdated--
	}
	switch {
	case refusal != nil || err != nil:
		p.count.createFailures++
		if round == p.round {
			p.failed(refusal, err, failures, now, &t)
		}
	default:
		p.count.creates++
		p.created(value, round, now, &t)
	}
	p.supply(p.longestWaiting(), now, &t)
	p.unlock(t)

	err = errors.Join(refusal, err)
	p.watch.Note(cause, policy.Decision{
		Action: policy.ActionCreate, Reason: whyFailed(refusal, err), Err: err,
		Began: p.epoch.Add(time.Duration(began)), Took: time.Duration(now - began),
	})
}

// created takes in a connection that was made for a round.
func (p *Pool[T]) created(value T, round uint64, now int64, t *told[T]) {
	if round == p.round {
		p.trouble = trouble{check: p.trouble.check, checkAt: p.trouble.checkAt}
	}
	c := &conn[T]{pool: p, value: value, created: now, expires: p.expiry(now), round: round}
	p.add(c)
	if c.expires < p.wakeAt {
		p.wake(c.expires, now)
	}
	p.put(c, now, t)
}

// failed notes a failure. The pause grows once for all that were begun together.
func (p *Pool[T]) failed(refusal, err error, failures int, now int64, t *told[T]) {
	if refusal != nil {
		p.trouble.refusal = refusal
	} else {
		p.trouble.create = err
	}
	if failures == p.trouble.failures {
		p.trouble.failures++
		p.trouble.until = now + int64(p.backoff.Backoff(p.trouble.failures))
	}
	if !policy.IsPermanent(err) || len(p.conns) > p.closing || p.creating > p.outdated {
		return
	}
	for w := p.waiting.first; w != nil; w = p.waiting.first {
		p.leaveQueue(w)
		w.err = err
		t.add(w)
	}
}

// admitted makes a connection if the gates let it, and tells them what came of
// it.
func (p *Pool[T]) admitted(ctx context.Context) (value T, refusal, err error) {
	all, err := p.gates.admit(ctx)
	switch {
	case err == nil:
	case ctx.Err() == nil && !broken(err):
		return value, err, nil
	default:
		return value, nil, p.creationError(ctx, err)
	}
	value, err = within(ctx, p.factory.Create, p.drop)
	if err == nil && isNil(value) {
		err = errNil
	}
	all.end(ctx, p.cfg.CreateTimeout, outcome(ctx, err))
	if err != nil {
		return value, nil, p.creationError(ctx, err)
	}
	return value, nil, nil
}

// creationError is what a caller is told of err, which ended a creation.
func (p *Pool[T]) creationError(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = &policy.Error{
			Reason: policy.ReasonCreateTimeout, Policy: policy.PolicyPool, Key: p.key,
			Err: fmt.Errorf("no connection within %v: %w", p.cfg.CreateTimeout, err),
		}
	}
	return &policy.Error{Reason: policy.ReasonConnectionFailed, Policy: policy.PolicyPool, Key: p.key, Err: err}
}

// drop closes a connection that came too late.
func (p *Pool[T]) drop(value T) {
	if !isNil(value) {
		_ = p.closeValue(value)
	}
}

// outcome is what an error says about the peer.
func outcome(ctx context.Context, err error) policy.Outcome {
	switch {
	case err == nil:
		return policy.Success
	case broken(err), policy.IsPermanent(err), policy.Refused(err), errors.Is(ctx.Err(), context.Canceled):
		return policy.Ignored
	}
	return policy.Failure
}

// expiry draws when a connection is as old as may be.
func (p *Pool[T]) expiry(now int64) int64 {
	life := float64(p.cfg.MaxLifetime)
	if life < 0 {
		return math.MaxInt64
	}
	return later(now, int64(life*(1-p.cfg.LifetimeJitter*rand.Float64())))
}

func whyFailed(refusal, err error) policy.Reason {
	own, ok := errors.AsType[*policy.Error](refusal)
	switch {
	case ok:
		return own.Reason
	case err == nil:
		return ""
	case errors.Is(err, policy.ErrTimeout):
		return policy.ReasonCreateTimeout
	}
	return policy.ReasonConnectionFailed
}

// isNil reports whether a factory made nothing, also as a nil pointer in an
// interface.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func, reflect.Slice:
		return r.IsNil()
	default:
		return false
	}
}

// later adds two times without overflow.
func later(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
