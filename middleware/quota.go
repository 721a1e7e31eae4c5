package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// RateLimit admits so many requests of each key per period and refuses the rest
// with 429. It is the short form of [NewQuota], and panics on what that would
// report.
func RateLimit(cfg policy.RateLimiterConfig, key KeyFunc, opts ...Option) func(http.Handler) http.Handler {
	q, err := NewQuota(cfg, key, opts...)
	if err != nil {
		panic(fmt.Errorf("magnetar: invalid RateLimit:\n%w", err))
	}
	return q.Handler
}

// Quota gives every key a bucket of as many units as the limit, of which a
// request takes one, or its weight. Units come back one by one, evenly spread
// over the period: a client may use its limit at once and then goes on at the
// rate of the limit, with no border of a period to wait for or to exploit. With
// [policy.PacingSmooth] the bucket holds a single unit, so that requests are kept
// apart. The algorithm is GCRA, see [policy.StoreLimit]; it reads the monotonic
// clock only. A quota never waits: MaxWait of its configuration is not used.
//
// Buckets are kept for 262,144 keys. Each takes about 135 bytes and the text of
// its key, of at most 64: no more than 55 MB in all, and 4 MB for each further
// quota. A bucket that is full again makes room for another key's, without loss.
// While there is no room, further keys share 1,024 buckets by their hash, and a
// decision says so about once a second; no key that is being limited is forgotten
// for the sake of another.
//
// Requests tell their clients how they stand by the fields RateLimit-Policy and
// RateLimit of draft-ietf-httpapi-ratelimit-headers-11. In shadow mode they do
// not.
//
// A Quota is safe for concurrent use and may serve any number of handlers.
type Quota struct {
	settings settings
	key      KeyFunc
	observer policy.Observer
	enabler  policy.Enabler // the observer's, if it has one
	ledger   *ledger        // nil with a shared store
	plan     atomic.Pointer[plan]
	drained  atomic.Bool
	counts   quotaCounts
	update   sync.Mutex // held by Update alone
}

// NewQuota returns a quota of cfg for each key. The error says all that is wrong
// with cfg, key and opts.
func NewQuota(cfg policy.RateLimiterConfig, key KeyFunc, opts ...Option) (*Quota, error) {
	s := newSettings(opts)
	var f policy.Faults
	if key == nil {
		f.Add("key", errors.New("must be set"))
	}
	if s.quota.store != nil && s.quota.name == "" {
		f.Add("name", errors.New("must be set with a shared store, where quotas of one name count together"))
	}
	limits := append([]namedLimit{{cmp.Or(s.quota.name, "default"), cfg}}, s.quota.more...)
	f.Add("", validateLimits(limits))
	if err := f.Err(); err != nil {
		return nil, err
	}
	q := &Quota{settings: s, key: key, observer: s.observer()}
	q.enabler, _ = q.observer.(policy.Enabler)
	grain := time.Microsecond
	if s.quota.store == nil {
		q.ledger, grain = newLedger(q.plan.Load), time.Nanosecond
	}
	q.plan.Store(newPlan(limits, grain, q.ledger.now()))
	policy.Watch(policy.Observers(s.observers...), q, (*Quota).statuses)
	return q, nil
}

// Handler returns next behind the quota.
func (q *Quota) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q.admit(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// Update replaces the limit of the quota, and those of [WithQuota] options in
// opts, which must name quotas that are there; other options do nothing. What
// clients have used counts under the new limit, up to all of it: what they used
// beyond is forgiven. On an error, which says all that is wrong, everything stays
// as it was.
func (q *Quota) Update(cfg policy.RateLimiterConfig, opts ...Option) error {
	var s settings
	for _, o := range opts {
		o.apply(&s)
	}
	q.update.Lock()
	defer q.update.Unlock()
	p := q.plan.Load()
	limits, err := p.changed(cfg, s.quota.more)
	if err != nil {
		return err
	}
	q.plan.Store(p.next(limits, q.ledger.now()))
	return nil
}

// Drain refuses all requests from now on, with 503 and Connection: close, for the
// server is about to end. A quota has nothing to wait for, so Drain returns nil at
// once.
func (q *Quota) Drain(context.Context) error {
	q.drained.Store(true)
	return nil
}

// QuotaStats is a quota at one moment.
type QuotaStats struct {
	Keys      int    // keys with a bucket of their own; zero with a shared store
	Admitted  uint64 // requests admitted
	Refused   uint64 // requests refused, or let through in shadow mode only
	Bypassed  uint64 // requests let through because the shared store did not answer
	EmptyKeys uint64 // requests without a key, whatever became of them
	Shared    uint64 // requests counted in shared buckets, there being too many keys
}

// statuses yields each limit, and how many keys it is counted for.
func (q *Quota) statuses() iter.Seq[policy.Status] {
	return func(yield func(policy.Status) bool) {
		keys := q.Stats().Keys
		for _, l := range q.plan.Load().source {
			if !yield(policy.Status{Policy: policy.PolicyQuota, Key: l.name, Limit: l.cfg.Limit, Per: l.per(), Keys: keys}) {
				return
			}
		}
	}
}

// Stats returns the figures of one moment.
func (q *Quota) Stats() QuotaStats {
	s := QuotaStats{
		Admitted:  q.counts.admitted.Load(),
		Refused:   q.counts.refused.Load(),
		Bypassed:  q.counts.bypassed.Load(),
		EmptyKeys: q.counts.emptyKeys.Load(),
	}
	if q.ledger != nil {
		s.Keys, s.Shared = q.ledger.buckets.Len(), q.ledger.shared.Load()
	}
	return s
}

type quotaCounts struct {
	admitted, refused, bypassed, emptyKeys atomic.Uint64
}
