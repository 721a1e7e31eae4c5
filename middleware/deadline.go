package middleware

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Deadline gives each request a deadline: the time that its caller still waits,
// where a trusted peer tells it (see [WithTrustedPeers]), but no more than Max.
// It panics on what cfg.Validate reports.
//
//   - A request with too little time left is refused with 503; the decision's
//     reason is [policy.ReasonDeadlineUnmeetable].
//   - The handler is told by its context, whose cause is then a [*policy.Error]
//     matching [policy.ErrTimeout]. It runs on the server's own goroutine, so a
//     handler that does not heed its context is not cut short.
//   - From then on its writes fail with that error. When it returns, a request
//     that had no answer yet gets 504; an answer that it went on with is aborted,
//     as by [http.ErrAbortHandler], for half of one must not pass for a whole. An
//     answer that was finished in time is left alone.
//
// An earlier deadline that the context has already stays, and is its owner's
// business. Protocol upgrades, CONNECT, requests that accept text/event-stream
// and what [WithoutDeadline] names have no deadline.
func Deadline(cfg DeadlineConfig, opts ...Option) func(http.Handler) http.Handler {
	if err := cfg.Validate(); err != nil {
		panic(fmt.Errorf("magnetar: invalid Deadline:\n%w", err))
	}
	cfg = cfg.withDefaults()
	d := &deadline{settings: newSettings(opts), most: cfg.Max, least: max(cfg.Min, 1), headers: cfg.budgetHeaders()}
	d.watch = d.observer()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.serve(next, w, r) })
	}
}

// WithoutDeadline names requests that [Deadline] leaves alone: long polls,
// downloads, streams of one's own kind.
func WithoutDeadline(f func(*http.Request) bool) Option {
	return optionFunc(func(s *settings) {
		if f != nil {
			s.timeless = append(s.timeless, f)
		}
	})
}

// deadline is a Deadline with its defaults filled in.
type deadline struct {
	settings

	most    time.Duration // negative: no bound
	least   time.Duration // positive
	headers []budgetHeader
	watch   policy.Observer // nil: nobody
}

func (d *deadline) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if d.skips(r) {
		next.ServeHTTP(w, r)
		return
	}
	began := time.Now()
	left, owner := d.left(r, began)
	switch {
	case owner != nobody && left < d.least:
		e := &policy.Error{Reason: policy.ReasonDeadlineUnmeetable, Policy: policy.PolicyDeadline}
		d.tell(r, policy.Decision{Action: policy.ActionRefuse, Reason: e.Reason, Began: began, Err: e})
		if !d.shadow {
			d.refuse(w, r, e)
			return
		}
		next.ServeHTTP(w, r)
	case owner != ours:
		next.ServeHTTP(w, r)
	case d.shadow:
		defer d.lookBack(r, began, left)
		next.ServeHTTP(w, r)
	default:
		d.run(next, w, r, began, left)
	}
}

// owner is who has set the deadline that a request is under.
type owner uint8

const (
	nobody owner = iota
	ours
	theirs // it was on the context before
)

// left is how long the request may take from now on.
func (d *deadline) left(r *http.Request, at time.Time) (time.Duration, owner) {
	left, by := d.most, ours
	if d.most < 0 {
		by = nobody
	}
	if d.trust.trusts(r) {
		if budget, ok := shortest(d.headers, r.Header); ok && (by == nobody || budget < left) {
			left, by = budget, ours
		}
	}
	if t, ok := r.Context().Deadline(); ok {
		if before := t.Sub(at); by == nobody || before <= left {
			return before, theirs
		}
	}
	return left, by
}

// skips reports whether a request has no deadline.
func (d *deadline) skips(r *http.Request) bool {
	if claimsStream(r) {
		return true
	}
	for _, v := range r.Header["Accept"] {
		if strings.Contains(v, "text/event-stream") {
			return true
		}
	}
	for _, f := range d.timeless {
		if f(r) {
			return true
		}
	}
	return false
}

// run serves the request under a deadline of its own.
func (d *deadline) run(next http.Handler, w http.ResponseWriter, r *http.Request, began time.Time, left time.Duration) {
	o := &overseer{rw: w, overrun: overran(left)}
	ctx, cancel := context.WithDeadlineCause(r.Context(), began.Add(left), o.overrun)
	defer cancel()
	o.ctx = ctx
	outer := r
	r = r.WithContext(ctx)
	defer func() {
		carryOver(outer, r)
		if o.late() && !o.hijacked {
			d.tell(r, policy.Decision{
				Action: policy.ActionTimeout, Reason: policy.ReasonOverrun,
				Began: began, Took: time.Since(began), Err: o.overrun,
			})
		}
	}()
	next.ServeHTTP(standIn(o), r)
	switch {
	case !o.late() || o.hijacked:
	case !o.begun:
		d.answer(w, r, o.overrun)
	case o.cut:
		panic(http.ErrAbortHandler)
	}
}

// lookBack tells of a request that would have overrun its deadline.
func (d *deadline) lookBack(r *http.Request, began time.Time, left time.Duration) {
	took := time.Since(began)
	if took < left || r.Context().Err() != nil {
		return
	}
	d.tell(r, policy.Decision{
		Action: policy.ActionTimeout, Reason: policy.ReasonOverrun, Began: began, Took: took, Err: overran(left),
	})
}

// answer is what a request gets that had no answer when its time was up.
func (d *deadline) answer(w http.ResponseWriter, r *http.Request, e *policy.Error) {
	h := w.Header()
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Trailer"} {
		delete(h, name) // they were about another answer
	}
	if r.ProtoMajor == 1 && r.Body != nil && r.Body != http.NoBody {
		// net/http reads on before it answers; a body that stalls must not hold it.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime))
	}
	d.refusal(w, r, e)
}

// tell tells a decision about r, if somebody listens.
func (d *deadline) tell(r *http.Request, one policy.Decision) {
	if d.watch == nil {
		return
	}
	ctx := d.inbound(r.Context(), r)
	if wants(ctx, d.watch) {
		one.Policy, one.Shadow = policy.PolicyDeadline, d.shadow
		d.watch.Observe(ctx, one)
	}
}
