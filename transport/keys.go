package transport

import (
	"hash/maphash"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// keys are the states of the hosts that the transport talks to.
type keys struct {
	t     *Transport
	own   *policy.Keyed[key, *state]
	last  atomic.Pointer[state] // most clients call one host most of the time
	seed  maphash.Seed
	spare [256]atomic.Pointer[state] // shared by the keys over the bound
}

// state is what the calls of one key share.
type state struct {
	name     string
	scheme   string // of the URLs that mostly lead here
	host     string
	over     bool // of many keys: without breaker and throttle
	throttle *throttle
	limiter  *policy.RateLimiter
	rate     policy.Gate // of the user's, beside the limiter
	inFlight *policy.Concurrency
	breaker  *policy.CircuitBreaker
	budget   *policy.Budget
	usual    atomic.Int64 // time to the response headers, smoothed
}

func newKeys(t *Transport) *keys {
	ks := &keys{t: t, seed: maphash.MakeSeed()}
	ks.own = policy.NewKeyed(t.cfg.MaxKeys, ks.forKey, ks.idle)
	return ks
}

// of returns the state for req. The one used last is found without a hash, and
// is kept meanwhile.
func (ks *keys) of(req *http.Request) *state {
	if s := ks.last.Load(); s != nil && s.is(req.URL) {
		return s
	}
	s := ks.get(ks.t.keyFor(req))
	if s.is(req.URL) {
		ks.last.Store(s)
	}
	return s
}

// is reports whether u names the state's key as URLs mostly do. A key of the
// user's is never told by its URL.
func (s *state) is(u *url.URL) bool { return s.host == u.Host && s.scheme == u.Scheme }

func (ks *keys) get(k key) *state {
	if s, ok := ks.own.Get(k); ok {
		return s
	}
	i := maphash.Comparable(ks.seed, k) % uint64(len(ks.spare))
	spare := &ks.spare[i]
	if s := spare.Load(); s != nil {
		return s
	}
	s := ks.make("(shared)", "(shared "+strconv.FormatUint(i, 10)+")")
	s.over, s.breaker, s.throttle = true, nil, nil
	spare.CompareAndSwap(nil, s)
	return spare.Load()
}

// make returns the state of a key; limited is its name where it has a limit of the
// user's.
func (ks *keys) make(name, limited string) *state {
	cfg := &ks.t.cfg
	s := &state{name: name}
	opts := []policy.Option{policy.WithKey(name)}
	if ks.t.observer != nil {
		opts = append(opts, policy.WithObserver(gateObserver{ks.t}))
	}
	if cfg.Throttle != nil {
		s.throttle = newThrottle(*cfg.Throttle)
	}
	if cfg.RateLimit != nil {
		s.limiter = policy.NewRateLimiter(*cfg.RateLimit, opts...)
	}
	if ks.t.limitOf != nil {
		s.rate = ks.t.limitOf(limited)
	}
	if cfg.Concurrency != nil {
		s.inFlight = policy.NewConcurrency(*cfg.Concurrency, opts...)
	}
	if cfg.Breaker != nil {
		s.breaker = policy.NewCircuitBreaker(*cfg.Breaker, opts...)
	}
	if ks.t.backoff != nil {
		s.budget = policy.NewBudget(*cfg.Retry.Budget)
	}
	return s
}

func (ks *keys) forKey(k key) *state {
	name := k.String()
	s := ks.make(name, name)
	s.scheme, s.host = k.scheme, k.urlHost()
	return s
}

// idle reports whether the state can be forgotten without loss. The budget and
// the counts of a closed breaker are no loss.
func (ks *keys) idle(s *state) bool {
	return s != ks.last.Load() && (s.breaker == nil || s.breaker.Idle()) &&
		(s.limiter == nil || s.limiter.Idle()) && restful(s.rate) &&
		(s.inFlight == nil || s.inFlight.Idle()) &&
		(s.throttle == nil || s.throttle.idle())
}

// restful reports whether a gate of the user's can be forgotten without loss, as
// far as it tells.
func restful(g policy.Gate) bool {
	i, ok := g.(interface{ Idle() bool })
	return !ok || i.Idle()
}

// took learns the usual time to the response headers, as 1/8 of each new one;
// small changes are not worth a write.
func (s *state) took(ns int64) {
	old := s.usual.Load()
	if old == 0 {
		s.usual.Store(ns)
	} else if d := ns - old; d > old>>2 || -d > old>>2 {
		s.usual.Store(old + d>>3)
	}
}

// telling is the time after which a try that the caller's deadline cut says
// something about the peer.
func (s *state) telling() time.Duration {
	return max(100*time.Millisecond, time.Duration(10*s.usual.Load()))
}
