package pool

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool/internal/watch"
)

// Pool lends connections, or anything else that is dear to make. It is safe for
// concurrent use, and must be closed.
type Pool[T any] struct {
	factory Factory[T]
	cfg     Config // with its defaults; see max and minIdle
	checks  bool   // the factory's IsHealthy has something to say
	key     string
	gates   gates
	watch   watch.Watch
	backoff *policy.Retry
	epoch   time.Time // times are since then

	timer     *time.Timer // runs maintain
	unmeasure func()
	unwatch   func()

	tick    time.Duration // see tick.go; zero: nobody asks how long a connection was idle
	drained chan struct{} // closed once all is closed

	crowded atomic.Bool // somebody waits
	rush    atomic.Bool // see rush.go

	mu sync.Mutex
	// Guarded by mu:
	idle      []*conn[T] // the last used last
	stale     int        // how many of idle, the first ones, need a check
	waiting   queue[T]
	spare     *waiter[T] // waiters to be used again
	spares    int
	conns     []*conn[T] // all, also those that are being checked or closed
	max       int
	minIdle   int
	round     uint64          // of connections; those of earlier ones leave
	life      context.Context // of what is being made for this round
	endRound  context.CancelFunc
	note      string // why the earlier ones were retired
	creating  int
	outdated  int // of creating, those for earlier rounds
	checking  int
	owed      int   // of checking, those that somebody who waits counts on
	doubt     bool  // a check has failed for those who wait
	closing   int   // among conns
	lately    int64 // see tick.go
	ticking   bool
	touched   bool
	hands     int // see rush.go
	handsFrom int64
	wakeAt    int64
	lookedAt  int64 // for what may wait for MaintainEvery
	trouble   trouble
	count     counters
	closed    bool
	gone      bool // drained is closed
}

// New makes a pool of what f makes, and begins to make the first MinIdle. The
// error tells everything that is wrong with cfg, or that f can make nothing.
func New[T any](f Factory[T], cfg Config, opts ...Option) (*Pool[T], error) {
	err := cfg.Validate()
	if !creates(f) {
		err = errors.Join(err, errors.New("create: must not be nil"))
	}
	if err != nil {
		return nil, err
	}
	o := newOptions()
	for _, opt := range opts {
		opt.pool(&o)
	}
	cfg = cfg.withDefaults()
	p := &Pool[T]{
		factory: f,
		cfg:     cfg,
		checks:  checks(f) && cfg.CheckAfter > 0,
		key:     o.key,
		gates:   o.gates,
		watch:   o.watch().At(o.key, ""),
		backoff: newBackoff(cfg.AcquireTimeout),
		epoch:   time.Now().Add(-1), // no time is zero
		drained: make(chan struct{}),
		max:     cfg.MaxSize,
		minIdle: cfg.MinIdle,
		wakeAt:  math.MaxInt64,
	}
	p.setTick()
	p.life, p.endRound = context.WithCancel(context.Background()) //nolint:gosec // Close ends it

	p.mu.Lock()
	p.timer = time.AfterFunc(math.MaxInt64, p.maintain)
	p.supply(context.Background(), p.look(), &told[T]{}) // nobody waits yet
	p.mu.Unlock()
	p.unmeasure = o.otel.WatchPool(o.key, p.level)
	p.unwatch = policy.Watch(policy.Observers(o.observers...), p, (*Pool[T]).statuses)
	return p, nil
}

// Acquire lends a connection: the idle one used last, or else the first that
// comes free or is made; callers are served in the order in which they came. One
// that was unused for CheckAfter is checked first, and if it fails the next is
// taken. The lease must be ended, see [Lease].
//
// A connection that cannot be made is tried again, with growing pauses, until
// the caller's time is up, unless the error is marked [policy.Permanent] and
// there is no other connection. Errors, each an [*policy.Error]:
//   - [policy.ErrPoolExhausted]: none came in time, neither AcquireTimeout nor
//     the deadline of ctx (also context.DeadlineExceeded), or too many wait. It
//     holds an [*ExhaustedError], and the error of the last creation if that
//     failed, which matches [policy.ErrConnectionCreation].
//   - [policy.ErrConnectionCreation]: one could not be made, permanently.
//   - [policy.ErrClosed]: the pool is closed.
//
// If ctx is cancelled, or has ended before, the error is its cause, and also
// matches its Err.
func (p *Pool[T]) Acquire(ctx context.Context) (Lease[T], error) {
	return p.acquire(ctx, forAny)
}

// TryAcquire lends an idle connection, waiting for nothing but its check. If
// there is none it begins to make one in the background, where there is room,
// and returns [policy.ErrPoolExhausted]; all else is as with Acquire.
func (p *Pool[T]) TryAcquire(ctx context.Context) (Lease[T], error) {
	return p.acquire(ctx, forIdle)
}

func (p *Pool[T]) acquire(ctx context.Context, patience patience) (Lease[T], error) {
	if ctx.Err() != nil {
		return Lease[T]{}, endOf(ctx)
	}
	at := p.ahead()
	p.mu.Lock()
	c, began := p.takeFresh(), int64(0)
	if c == nil {
		var err error
		if c, began, err = p.wait(ctx, patience, at); err != nil {
			return Lease[T]{}, err
		}
	} else {
		p.lend(c)
		if len(p.idle) < p.minIdle && p.room() {
			p.supply(ctx, p.look(), &told[T]{}) // nobody can be waiting
		}
		p.mu.Unlock()
	}
	l := c.lease()
	p.acquired(ctx, l, began)
	return l, nil
}

// Do runs f with a connection. After a panic or Goexit of f the connection is
// discarded. After an error it is kept, but checked before it is lent again:
// unless the error is marked [policy.Permanent] or is a refusal, it may be the
// connection's. Where nothing is checked, with a negative CheckAfter or without
// isHealthy, it is lent again as it is: use a [Lease] and its Discard there.
func (p *Pool[T]) Do(ctx context.Context, f func(ctx context.Context, conn T) error) error {
	l, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	returned := false
	defer func() {
		if !returned {
			l.Discard(errUnfinished)
		}
	}()
	err = f(ctx, l.Value())
	returned = true
	if err == nil || policy.IsPermanent(err) || policy.Refused(err) {
		l.Release()
	} else {
		p.release(l, suspicious)
	}
	return err
}

// Retire makes all connections of this moment leave, for new ones: credentials
// were rotated, or the server is another now. Idle ones leave at once, those in
// use when they are released. What is being made is given up, and what failed
// before is forgotten: new ones are made at once. reason is told with each.
func (p *Pool[T]) Retire(reason string) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.nextRound(departure{reason: policy.ReasonRetired, note: reason})
	p.life, p.endRound = context.WithCancel(context.Background()) //nolint:gosec // the next round ends it
	p.trouble = trouble{}
	var t told[T]
	p.supply(context.Background(), p.look(), &t)
	p.unlock(t)
}

// Resize changes MaxSize, which must be at least 1; a MinIdle above it is cut
// down to it. Connections that are too many leave, those in use when they are
// released. The error of a closed pool matches [policy.ErrClosed].
func (p *Pool[T]) Resize(maxSize int) error {
	if maxSize < 1 || maxSize > math.MaxInt32 {
		var f policy.Faults
		f.Addf("max_size", "%d: must be between 1 and %d", maxSize, math.MaxInt32)
		return f.Err()
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return p.closedError()
	}
	p.max = maxSize
	p.minIdle = min(p.cfg.MinIdle, maxSize)
	for p.tooMany() && len(p.idle) > 0 {
		p.leave(p.takeOldest(), departure{reason: policy.ReasonSurplus})
	}
	s := p.stats()
	var t told[T]
	p.supply(context.Background(), p.look(), &t)
	p.unlock(t)
	p.watch.Note(context.Background(), policy.Decision{
		Action: policy.ActionResize, Limit: s.MaxSize, InFlight: s.Active, Queued: s.Waiting,
	})
	return nil
}

// unlock lets go of mu, and then tells those whose outcome is set.
func (p *Pool[T]) unlock(t told[T]) {
	drained := p.closed && !p.gone && len(p.conns)+p.creating == 0
	p.gone = p.gone || drained
	p.mu.Unlock()
	t.tell()
	if drained {
		p.timer.Stop()
		p.unmeasure()
		p.unwatch()
		close(p.drained)
	}
}
