package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// admit reports whether r may pass; if not, it has been answered.
func (q *Quota) admit(w http.ResponseWriter, r *http.Request) bool {
	if q.drained.Load() {
		return q.refuse(w, r, policy.Error{Reason: policy.ReasonClosed}, 0)
	}
	key := q.keyOf(r)
	if key == "" {
		return q.refuse(w, r, policy.Error{Reason: policy.ReasonEmptyKey, RetryAfter: never}, 0)
	}
	if q.ledger == nil {
		return q.admitByStore(w, r, key)
	}
	p, now := q.plan.Load(), q.ledger.now()
	var room [maxLimits]policy.StoreLevel
	levels := room[:len(p.limits)]
	if shares := q.ledger.take(p, now, key, q.weightOf(r), levels); shares && q.ledger.tells(now) {
		q.tell(r, policy.Decision{Action: policy.ActionBypass, Reason: policy.ReasonTooManyKeys, Key: key})
	}
	return q.judge(w, r, p, key, levels)
}

// storeTime bounds what a store that hangs adds to a request.
const storeTime = 250 * time.Millisecond

var errLevels = errors.New("the store did not tell the level of each limit")

func (q *Quota) admitByStore(w http.ResponseWriter, r *http.Request, key string) bool {
	p := q.plan.Load()
	ctx, cancel := context.WithTimeout(r.Context(), storeTime)
	defer cancel()
	levels, err := q.settings.quota.store.Take(ctx, key, q.weightOf(r), p.limits)
	if err == nil && len(levels) != len(p.limits) {
		err = errLevels
	}
	if err == nil {
		return q.judge(w, r, p, key, levels)
	}
	if gone := context.Cause(r.Context()); gone != nil {
		return q.refuse(w, r, policy.Error{Reason: reasonOf(gone), Key: key, Err: gone}, 0)
	}
	if q.settings.quota.failClosed || policy.Refused(err) {
		return q.refuse(w, r, policy.Error{Reason: policy.ReasonStore, Key: key, Err: err}, 0)
	}
	q.counts.bypassed.Add(1)
	q.describe(w.Header(), p, nil)
	q.tell(r, policy.Decision{Action: policy.ActionBypass, Reason: policy.ReasonStore, Key: key, Err: err})
	return true
}

// reasonOf is why a request ended while the store was asked.
func reasonOf(cause error) policy.Reason {
	if errors.Is(cause, context.DeadlineExceeded) {
		return policy.ReasonDeadlineUnmeetable
	}
	return policy.ReasonClientGone
}

// judge goes by what the limits say.
func (q *Quota) judge(w http.ResponseWriter, r *http.Request, p *plan, key string, levels []policy.StoreLevel) bool {
	q.describe(w.Header(), p, levels)
	worst := worstOf(levels)
	limit := p.source[worst].cfg.Limit
	if !levels[worst].Admitted {
		return q.refuse(w, r, policy.Error{
			Reason: policy.ReasonRateLimit, Key: key, RetryAfter: levels[worst].RetryAfter,
		}, limit)
	}
	q.counts.admitted.Add(1)
	q.tell(r, policy.Decision{Action: policy.ActionAdmit, Key: key, Limit: limit})
	return true
}

// never is what a refusal tells for a request that must not be tried again.
const never time.Duration = -1

// worstOf is the limit that is to be waited for the longest, or the first if
// all have admitted.
func worstOf(levels []policy.StoreLevel) int {
	worst := 0
	for i, l := range levels {
		switch w := levels[worst]; {
		case l.Admitted:
		case w.Admitted, l.RetryAfter < 0, w.RetryAfter >= 0 && l.RetryAfter > w.RetryAfter:
			worst = i
		}
	}
	return worst
}

// refuse counts, tells and answers a refusal. In shadow mode it lets r pass.
func (q *Quota) refuse(w http.ResponseWriter, r *http.Request, e policy.Error, limit int) bool {
	q.counts.refused.Add(1)
	q.tell(r, policy.Decision{
		Action: policy.ActionRefuse, Reason: e.Reason, Key: e.Key, Limit: limit,
		RetryAfter: max(0, e.RetryAfter), Err: e.Err, Shadow: q.settings.shadow,
	})
	if q.settings.shadow {
		return true
	}
	e.Policy = policy.PolicyQuota
	q.settings.refuse(w, r, &e)
	return false
}

// keyOf is by what r is counted, or empty if it must not pass.
func (q *Quota) keyOf(r *http.Request) string {
	if key := q.key(r); key != "" {
		return boundedKey(key)
	}
	q.counts.emptyKeys.Add(1)
	if q.settings.quota.keyRequired {
		return ""
	}
	if peer := ByPeerIP(r); peer != "" {
		return peerPrefix + peer
	}
	return ""
}

func (q *Quota) weightOf(r *http.Request) int {
	if q.settings.quota.weight == nil {
		return 1
	}
	return max(0, q.settings.quota.weight(r))
}

func (q *Quota) tell(r *http.Request, d policy.Decision) {
	if q.observer == nil {
		return
	}
	ctx := q.settings.inbound(r.Context(), r)
	if q.enabler != nil && !q.enabler.Enabled(ctx) {
		return
	}
	d.Policy, d.Began = policy.PolicyQuota, time.Now()
	q.observer.Observe(ctx, d)
}
