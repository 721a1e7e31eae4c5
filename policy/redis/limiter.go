package redislimit

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Limiter is a rate limit on what all processes do together, such as the calls of
// a fleet to a peer with a quota. It gives each caller a turn, first come, first
// served across the fleet, and refuses those whose turn would come too late, as
// [policy.RateLimiter] does in one process. It is a [policy.Gate] and a
// [policy.Policy], and safe for concurrent use. [ContextWithWeight] makes a call take
// more than one unit.
//
// Up to the limit may pass at once; then turns come evenly spread, at the rate of
// the limit (GCRA), so that no period of any beginning sees more than twice the
// limit, if no call weighs more than it. With [policy.PacingSmooth] nothing passes at
// once but one.
//
// A caller whose context ends while it waits leaves its turn to the next of the same
// key that comes to this Limiter, even when others have a later one already. If
// nobody comes, the turn stays unused. So does that of one whose context ends while
// Redis is asked.
type Limiter struct {
	store   *Store
	name    string
	maxWait time.Duration
	limit   atomic.Pointer[limit]
	options options

	waiting                               atomic.Int64
	admitted, refused, canceled, bypassed atomic.Uint64
}

var (
	_ policy.Gate   = (*Limiter)(nil)
	_ policy.Policy = (*Limiter)(nil)
)

// NewLimiter returns a limiter of cfg, that counts in store. Limiters of the same
// name share the limit, and must be of the same cfg, but for MaxWait.
//
// Turns are a whole number of microseconds apart, rounded up, so that the rate is at
// most the limit and may be well below it where that is high: of 3,000 a second
// 2,994 are left, of 300,000 a second 250,000, of 700,000 a second 500,000, and of
// any limit above a million a second a million. Where the limit divides a million
// evenly, nothing is lost.
//
// The error says all that is wrong with store, name and cfg.
func NewLimiter(store *Store, name string, cfg policy.RateLimiterConfig, opts ...Option) (*Limiter, error) {
	var f policy.Faults
	if store == nil {
		f.Add("store", errors.New("must be set"))
	}
	if name == "" {
		f.Add("name", errors.New("must be set"))
	}
	maxWait := max(0, cmp.Or(cfg.MaxWait, 30*time.Second))
	first, err := newLimit(name, cfg, maxWait)
	f.Add("", err)
	if err := f.Err(); err != nil {
		return nil, err
	}
	l := &Limiter{store: store, name: name, maxWait: maxWait, options: newOptions(opts)}
	l.limit.Store(first)
	policy.Watch(l.options.observer, l, (*Limiter).statuses)
	return l, nil
}

// Admit takes a turn, waiting for it if need be. When it would come later than
// MaxWait or the deadline of ctx, Admit returns at once an [*policy.Error] matching
// [policy.ErrRateLimitExceeded] whose RetryAfter is the wait it would have been.
// When ctx ends, it returns the cause. While Redis does not answer, or not until
// shortly before the deadline of ctx, Admit does as the store's [Config.OnFailure]
// says; a refusal then matches [policy.ErrSaturated]. The permit has nothing to give back.
func (l *Limiter) Admit(ctx context.Context) (policy.Permit, error) {
	return policy.Permit{}, l.admit(ctx, l.name)
}

// Do runs op when its turn has come.
func (l *Limiter) Do(ctx context.Context, op func(context.Context) error) error {
	if err := l.admit(ctx, l.name); err != nil {
		return err
	}
	return op(ctx)
}

// ForKey returns the limiter of a key, such as a host or a tenant: each has the whole
// limit for itself, shared by all processes that ask for that key. An empty key is
// the Limiter's own name, by which the Limiter itself counts. It costs nothing to ask
// for it anew.
//
//	transport.WithRateLimit(limiter.ForKey) // each host that is called
//	policy.Guard(limiter.ForKey(tenant))    // as a policy.Policy
func (l *Limiter) ForKey(key string) policy.Gate {
	return keyLimiter{l, cmp.Or(key, l.name)}
}

type keyLimiter struct {
	limiter *Limiter
	key     string
}

func (k keyLimiter) Admit(ctx context.Context) (policy.Permit, error) {
	return policy.Permit{}, k.limiter.admit(ctx, k.key)
}

// SetLimit changes how many may pass per period, of each key and from now on. What
// was used stays so as a share of the limit: half of the old one is half of the new
// one. Those who wait keep their turns; of those who left, nobody gets them any more.
// Other processes know nothing of it: set theirs
// as well; until then each goes by its own. The error is what
// [policy.RateLimiterConfig.Validate] says; nothing changes then.
func (l *Limiter) SetLimit(n int) error {
	for {
		old := l.limit.Load()
		cfg := old.cfg
		cfg.Limit = n
		changed, err := newLimit(l.name, cfg, l.maxWait)
		if err != nil || n == old.cfg.Limit {
			return err
		}
		if l.limit.CompareAndSwap(old, changed) {
			l.options.tell(context.Background(), policy.Decision{Action: policy.ActionResize, Key: l.name, Limit: n})
			return nil
		}
	}
}

// LimiterStats is a limiter at one moment, as far as this process goes.
type LimiterStats struct {
	Waiting  int    // callers who wait for their turn
	Admitted uint64 // callers who passed
	Refused  uint64 // callers who would have waited too long, or whom nobody could count
	Canceled uint64 // callers whose context ended while they waited
	Bypassed uint64 // callers who passed uncounted
}

// Stats returns the figures of one moment.
func (l *Limiter) Stats() LimiterStats {
	return LimiterStats{
		Waiting: int(l.waiting.Load()), Admitted: l.admitted.Load(), Refused: l.refused.Load(),
		Canceled: l.canceled.Load(), Bypassed: l.bypassed.Load(),
	}
}

func (l *Limiter) statuses() iter.Seq[policy.Status] {
	return func(yield func(policy.Status) bool) {
		cfg := &l.limit.Load().cfg
		yield(policy.Status{
			Policy: policy.PolicyRateLimit, Key: l.name, Limit: cfg.Limit, Per: cfg.Per, Queued: int(l.waiting.Load()),
		})
	}
}

// limit is what a limiter enforces.
type limit struct {
	cfg  policy.RateLimiterConfig
	unit charge // of a caller who does not wait
	left *turns // are as far apart as this limit says
}

func newLimit(name string, cfg policy.RateLimiterConfig, maxWait time.Duration) (*limit, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Per = cmp.Or(cfg.Per, time.Second)
	burst, n := cfg.Limit, time.Duration(cfg.Limit)
	if cfg.Pacing == policy.PacingSmooth {
		burst = 1
	}
	unit, err := chargeOf(policy.StoreLimit{Name: fieldOf(name), Burst: burst, Interval: (cfg.Per + n - 1) / n}, 1)
	if err != nil {
		return nil, err
	}
	return &limit{cfg, unit.queueing(maxWait), newTurns()}, nil
}

// fieldOf is a Limiter's field of a key. That of a quota has no quotes in it.
func fieldOf(name string) string { return `"` + name + `"` }
