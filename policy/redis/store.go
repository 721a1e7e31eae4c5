package redislimit

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/magnetar-go/magnetar/policy"
)

// Client is what a store needs of go-redis. *redis.Client, those for Sentinel and
// for a cluster, and redis.Ring have it. To the breaker a cluster is one: while a
// node of it is down, all keys are without Redis.
type Client interface {
	Pipeline() redis.Pipeliner
}

// Store is a [policy.Store] in Redis. It is safe for concurrent use, has nothing
// to close, and leaves the client to its owner.
type Store struct {
	cfg     Config
	client  Client
	options options
	breaker *policy.CircuitBreaker
	line    line
	local   *ledger                 // nil unless calls are counted here while Redis is away
	last    atomic.Pointer[absence] // never nil; the latest, why the breaker opened

	calls, trips, without atomic.Uint64
}

var _ policy.Store = (*Store)(nil)

// NewStore returns a store of what client reaches. It asks Redis nothing yet. The
// error says all that is wrong with client and cfg.
func NewStore(client Client, cfg Config, opts ...Option) (*Store, error) {
	var f policy.Faults
	if client == nil {
		f.Add("client", errors.New("must be set"))
	}
	f.Add("", cfg.Validate())
	if err := f.Err(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg.withDefaults(), client: client, options: newOptions(opts)}
	s.line.fly, s.line.most = s.fly, s.cfg.Batch
	if s.cfg.OnFailure == Local {
		s.local = newLedger(s.cfg.Replicas)
	}
	s.last.Store(&absence{notAsked(errSlow), []string{identity(probed.Name)}}) // until there is one
	s.breaker = s.newBreaker()
	policy.Watch(s.options.observer, s, (*Store).statuses)
	return s, nil
}

// Take takes n units, as [policy.Store] says; a negative n counts as zero. While
// Redis does not answer, [Config.OnFailure] says what it returns. Limits that are
// not positive are an error that is marked [policy.Permanent]. When ctx is
// canceled, Take returns its cause. A deadline of ctx shortens the wait: Take is
// done a tenth of the time before it, at most 10ms, as if Redis did not answer.
func (s *Store) Take(ctx context.Context, key string, n int, limits []policy.StoreLimit) ([]policy.StoreLevel, error) {
	charges, err := chargesOf(limits, n)
	if err != nil || len(charges) == 0 {
		return nil, err
	}
	a, err := s.ask(ctx, key, charges)
	if err != nil {
		return nil, err
	}
	return a.levels(), nil
}

// StoreStats is a store at one moment.
type StoreStats struct {
	State   policy.State // of the breaker: Redis is not asked unless Closed
	Calls   uint64       // calls so far
	Trips   uint64       // trips to Redis that they took, probes included
	Without uint64       // calls that went on without an answer of Redis
}

// Stats returns the figures of one moment.
func (s *Store) Stats() StoreStats {
	return StoreStats{
		State: s.breaker.State(), Calls: s.calls.Load(), Trips: s.trips.Load(), Without: s.without.Load(),
	}
}

func (s *Store) statuses() iter.Seq[policy.Status] {
	return func(yield func(policy.Status) bool) { yield(s.breaker.Status()) }
}

// ask gets the charges taken, in Redis or without it.
func (s *Store) ask(ctx context.Context, key string, charges []charge) (answer, error) {
	if ctx.Err() != nil {
		return answer{}, context.Cause(ctx)
	}
	s.calls.Add(1)
	id, opened := identity(key), s.breaker.Changed() // or closed
	var (
		a   answer
		c   *call // that was sent, or may have been
		err error
	)
	if s.breaker.State() == policy.Closed {
		c = newCall(ctx, id, charges)
		a, err = s.await(c, opened)
	} else {
		s.probe(ctx)
		err = s.lastFault()
	}
	if err == nil {
		return a, nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return answer{}, context.Cause(ctx)
	}
	s.without.Add(1)
	switch s.cfg.OnFailure {
	case Local:
		s.options.tell(ctx, policy.Decision{Action: policy.ActionBypass, Reason: policy.ReasonStore, Key: key, Err: err})
		return s.local.take(id, charges, c), nil
	case Closed:
		return answer{}, &policy.Error{Reason: policy.ReasonStore, Policy: policy.PolicyRateLimit, Key: key, Err: err}
	default:
		return answer{}, err
	}
}

// await lets a call go, and waits for its end, or until it is known that there will be
// none in time.
func (s *Store) await(c *call, opened <-chan struct{}) (answer, error) {
	s.line.add(c)
	patience, late := s.patience(c.ctx)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var err error
	select {
	case <-c.settled:
		return c.answer, c.err
	case <-opened:
		err = s.lastFault()
	case <-timer.C:
		err = late
	case <-c.ctx.Done():
		err = late
	}
	if c.leave() {
		return answer{}, err
	}
	<-c.settled
	return c.answer, c.err
}

// patience is how long a call waits, and what it says then. The deadline of its
// caller is no end of its own: to fail closed must not depend on who has set the
// shorter time. It says nothing about Redis, though; the trip that goes on does.
func (s *Store) patience(ctx context.Context) (time.Duration, error) {
	most := 2 * s.cfg.Timeout // a trip, and until it begins
	deadline, ok := ctx.Deadline()
	if !ok {
		return most, errTimeout
	}
	left := max(0, time.Until(deadline))
	if left -= min(left/10, 10*time.Millisecond); left < most {
		return left, errDeadline
	}
	return most, errTimeout
}
