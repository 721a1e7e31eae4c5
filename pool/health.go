package pool

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool/internal/outlier"
)

// health is whether an endpoint gets requests.
type health struct {
	ejected   bool
	until     moment // when it returns; never: when it answers probes
	term      outlier.Term
	ejections int
	probes    probes
}

// eject takes e out of rotation, if as many may be. d is the decision.
func (tgt *target) eject(cause context.Context, e *endpoint, at moment, d policy.Decision) {
	tgt.mu.Lock()
	if e.health.ejected || !slices.Contains(tgt.all, e) || tgt.ejected() >= tgt.mostEjected() {
		tgt.mu.Unlock()
		return
	}
	h := &e.health
	h.ejected, h.until = true, never
	h.ejections++
	if d.Reason != policy.ReasonProbeFailed {
		d.RetryAfter = jittered(h.term.Eject(at.time(), tgt.terms()))
		h.until = at + moment(d.RetryAfter)
	}
	e.tally.reset(at)
	panics := tgt.rebuild()
	until := h.until
	tgt.mu.Unlock()

	tgt.transport.keeper.wakeAt(tgt, until) // first, for observers may panic
	d.Action = policy.ActionEject
	e.watch.Note(cause, d)
	e.set.Rotate(cause, policy.ReasonEjected, "")
	tgt.notePanic(cause, panics)
}

// returnDue brings those back whose time is over, unless probes say otherwise.
func (tgt *target) returnDue(at moment) {
	tgt.mu.Lock()
	var returned []*endpoint
	for _, e := range tgt.all {
		if h := &e.health; h.ejected && h.until <= at {
			if h.probes.failing(tgt.transport.cfg.Probe) {
				h.until = never
				continue
			}
			e.bringBack(at)
			returned = append(returned, e)
		}
	}
	tgt.rebuildFor(returned)
	tgt.mu.Unlock()
	tgt.noteReturns(context.Background(), returned, policy.ReasonEjectionOver)
}

// returnProbed brings e back because it answers probes.
func (tgt *target) returnProbed(e *endpoint, at moment) {
	tgt.mu.Lock()
	var returned []*endpoint
	if e.health.ejected && e.health.until == never {
		e.bringBack(at)
		returned = append(returned, e)
	}
	tgt.rebuildFor(returned)
	tgt.mu.Unlock()
	tgt.noteReturns(context.Background(), returned, policy.ReasonProbeSucceeded)
}

// returnSurplus brings those back that are too many now that there are fewer
// endpoints, the longest ejected first; mu is held.
func (tgt *target) returnSurplus(at moment) (returned []*endpoint) {
	for tgt.ejected() > tgt.mostEjected() {
		var first *endpoint
		for _, e := range tgt.all {
			if e.health.ejected && (first == nil || e.health.until < first.health.until) {
				first = e
			}
		}
		first.bringBack(at)
		returned = append(returned, first)
	}
	return returned
}

// bringBack puts an ejected endpoint in health; target.mu is held.
func (e *endpoint) bringBack(at moment) {
	e.health.ejected = false
	e.health.term.Return(at.time())
	e.tally.reset(at)
	e.latency.forget()
	e.start(at)
}

func (tgt *target) rebuildFor(returned []*endpoint) {
	if len(returned) > 0 {
		tgt.rebuild()
	}
}

// ejected is how many are; mu is held.
func (tgt *target) ejected() int {
	n := 0
	for _, e := range tgt.all {
		if e.health.ejected {
			n++
		}
	}
	return n
}

// mostEjected is how many may be; mu is held.
func (tgt *target) mostEjected() int {
	o := tgt.transport.cfg.Outlier
	switch {
	case o == nil:
		return outlier.Most(len(tgt.all), defaultMaxEjected)
	case o.AllowOne:
		return outlier.MostOr1(len(tgt.all), o.MaxEjected)
	}
	return outlier.Most(len(tgt.all), o.MaxEjected)
}

func (tgt *target) terms() outlier.Terms {
	o := tgt.transport.cfg.Outlier
	return outlier.Terms{Base: o.BaseEjection, Max: o.MaxEjection}
}

// jittered takes up to a tenth off, so that what began together does not end so.
func jittered(d time.Duration) time.Duration { return d - rand.N(d/10+1) }

func (tgt *target) noteReturns(cause context.Context, returned []*endpoint, why policy.Reason) {
	for _, e := range returned {
		e.watch.Note(cause, policy.Decision{Action: policy.ActionReturn, Reason: why})
	}
}

// notePanic tells that health is not looked at from now on.
func (tgt *target) notePanic(cause context.Context, panics bool) {
	if !panics {
		return
	}
	tgt.watch.Note(cause, policy.Decision{Action: policy.ActionBypass, Reason: policy.ReasonTooFewHealthy})
}
