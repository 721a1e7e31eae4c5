package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// resolution is what is known of where a target can be reached.
type resolution struct {
	looking *lookup // under way; nil: none
	at      moment  // when the last lookup ended
	good    moment  // and the last good one, where any was
	known   bool
	stale   int   // lookups since then that failed
	err     error // of the last
}

// lookup is one question to the resolver, for all who want to know.
type lookup struct {
	done chan struct{}
	err  error // once done
}

// mostAsking is how many calls of the resolver may hang per target before it is
// asked no more.
const mostAsking = 3

// firstAddresses waits until the target's addresses are known.
func (tgt *target) firstAddresses(ctx context.Context, at moment) error {
	if tgt.fixed != nil {
		tgt.mu.Lock()
		known := len(tgt.all) > 0
		tgt.mu.Unlock()
		if !known {
			tgt.apply(ctx, tgt.fixed, at)
		}
		return nil
	}
	tgt.waiting.Add(1)
	defer tgt.waiting.Add(-1)
	l, err := tgt.look(ctx, at)
	if err != nil {
		return err
	}
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// refresh looks the addresses up again, in the background.
func (tgt *target) refresh(ctx context.Context, at moment) {
	if tgt.rotation.Load() != nil {
		_, _ = tgt.look(ctx, at)
	}
}

// refreshEarly does so after a connection could not be made, as soon as may be.
func (tgt *target) refreshEarly(ctx context.Context, at moment) {
	if tgt.fixed != nil || tgt.transport.cfg.Refresh < 0 {
		return
	}
	tgt.mu.Lock()
	soonest := tgt.resolution.at + moment(tgt.transport.cfg.MinRefresh)
	if tgt.resolution.looking == nil && soonest < moment(tgt.refreshAt.Load()) {
		tgt.refreshAt.Store(int64(soonest))
	}
	tgt.mu.Unlock()
	if at >= moment(tgt.refreshAt.Load()) {
		tgt.refresh(ctx, at)
	}
}

// look begins a lookup, or joins the one under way. While it is too early after
// one that failed, its error is returned.
func (tgt *target) look(cause context.Context, at moment) (*lookup, error) {
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	r := &tgt.resolution
	switch {
	case r.looking != nil:
		return r.looking, nil
	case tgt.transport.life.Err() != nil:
		return nil, closedError(tgt.name)
	case r.err != nil && at.since(r.at) < tgt.transport.cfg.MinRefresh:
		return nil, tgt.noEndpoint(r.err, tgt.transport.cfg.MinRefresh-at.since(r.at))
	}
	l := &lookup{done: make(chan struct{})}
	if !tgt.transport.background(func() { tgt.run(cause, l) }) {
		return nil, closedError(tgt.name)
	}
	r.looking = l
	tgt.refreshAt.Store(int64(never))
	return l, nil
}

// noEndpoint is why a request cannot be sent, and how long it makes no sense to
// try again.
func (tgt *target) noEndpoint(err error, retryAfter time.Duration) error {
	return &policy.Error{Reason: policy.ReasonNoEndpoint, Policy: policy.PolicyPool, Key: tgt.name, RetryAfter: retryAfter, Err: err}
}

// run carries a lookup out.
func (tgt *target) run(cause context.Context, l *lookup) {
	defer close(l.done)
	began := time.Now()
	addresses, err := tgt.ask()
	ended := time.Now()
	changed := false
	if err == nil {
		changed = tgt.apply(cause, addresses, momentOf(ended))
	}
	tgt.learn(l, err, momentOf(ended))
	if changed || err != nil && tgt.transport.life.Err() == nil {
		tgt.watch.Note(cause, policy.Decision{Action: policy.ActionResolve, Began: began, Took: ended.Sub(began), Err: err})
	}
}

// learn notes how a lookup ended, and when the next one is due.
func (tgt *target) learn(l *lookup, err error, at moment) {
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	cfg, r := &tgt.transport.cfg, &tgt.resolution
	r.looking, r.at, r.err = nil, at, err
	next := never
	switch {
	case err == nil:
		r.good, r.known, r.stale = at, true, 0
		if cfg.Refresh > 0 {
			next = at + moment(cfg.Refresh)
		}
	case tgt.transport.life.Err() != nil:
		l.err = closedError(tgt.name)
	case !r.known:
		l.err = tgt.noEndpoint(err, cfg.MinRefresh)
	default:
		r.stale++
		next = at + moment(tgt.patience())
	}
	tgt.refreshAt.Store(int64(next))
}

// patience is the time to the next lookup after one that failed: longer from one
// to the next.
func (tgt *target) patience() time.Duration {
	cfg := &tgt.transport.cfg
	wait := cfg.MinRefresh << min(tgt.resolution.stale-1, 10)
	if cfg.Refresh > 0 {
		return min(wait, cfg.Refresh)
	}
	return wait
}

var (
	errNoAddress    = errors.New("no usable address")
	errHanging      = errors.New("earlier lookups are still unanswered")
	errResolverGone = errors.New("the resolver ended its goroutine")
)

// ask asks the resolver for no longer than it may take. One that hangs is left
// alone.
func (tgt *target) ask() ([]string, error) {
	t := tgt.transport
	if tgt.asking.Load() >= mostAsking {
		return nil, errHanging
	}
	ctx, cancel := context.WithTimeout(t.life, t.cfg.ResolveTimeout)
	defer cancel()
	type answer struct {
		found []string
		err   error
	}
	answered := make(chan answer, 1)
	tgt.asking.Add(1)
	go func() {
		a := answer{err: errResolverGone}
		defer func() {
			if p := recover(); p != nil {
				a = answer{err: fmt.Errorf("the resolver panicked: %v", p)}
			}
			tgt.asking.Add(-1)
			answered <- a
		}()
		found, err := t.resolver.Resolve(ctx, tgt.key.host)
		a = answer{found, err}
	}()
	var a answer
	select {
	case a = <-answered:
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer within %v: %w", t.cfg.ResolveTimeout, ctx.Err())
	}
	if a.err != nil {
		return nil, a.err
	}
	usable := endpoints(a.found, tgt.key.port)
	if len(usable) == 0 {
		return nil, errNoAddress
	}
	return usable, nil
}
