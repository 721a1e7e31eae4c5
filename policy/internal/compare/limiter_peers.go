package compare

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/priority"
	"github.com/platinummonkey/go-concurrency-limits/core"
	"github.com/platinummonkey/go-concurrency-limits/limit"
	"github.com/platinummonkey/go-concurrency-limits/limiter"
	"github.com/platinummonkey/go-concurrency-limits/strategy"

	"github.com/magnetar-go/magnetar/policy"
)

// failsafe is failsafe-go's adaptive limiter with its defaults.
type failsafe struct {
	adaptivelimiter.Metrics
	acquire func(context.Context) (adaptivelimiter.Permit, bool)
}

func newFailsafe(int) Limiter {
	l := adaptivelimiter.NewWithDefaults[any]()
	return failsafe{l, func(context.Context) (adaptivelimiter.Permit, bool) { return l.TryAcquirePermit() }}
}

// newFailsafeQueue queues as many as its documentation gives for an example.
func newFailsafeQueue(int) Limiter {
	l := adaptivelimiter.NewBuilder[any]().WithQueueing(2, 3).Build()
	return failsafe{l, func(ctx context.Context) (adaptivelimiter.Permit, bool) {
		permit, err := l.AcquirePermit(ctx)
		return permit, err == nil
	}}
}

// failsafeLevels is failsafe-go's adaptive limiter with priorities.
type failsafeLevels struct {
	failsafe
	stop context.CancelFunc
}

func newFailsafeLevels(int) Limiter {
	p := adaptivelimiter.NewPrioritizer()
	l := adaptivelimiter.NewBuilder[any]().BuildPrioritized(p)
	return failsafeLevels{
		failsafe{l, func(ctx context.Context) (adaptivelimiter.Permit, bool) {
			level := priority.Medium
			if policy.PriorityFromContext(ctx) == policy.Critical {
				level = priority.VeryHigh
			}
			permit, err := l.AcquirePermitWithPriority(ctx, level)
			return permit, err == nil
		}},
		p.ScheduleCalibrations(context.Background(), 100*time.Millisecond),
	}
}

func (f failsafeLevels) Close() error {
	f.stop()
	return nil
}

func (f failsafe) Acquire(ctx context.Context) (func(context.Context, bool), bool) {
	permit, ok := f.acquire(ctx)
	if !ok {
		return nil, false
	}
	return func(_ context.Context, ok bool) {
		if ok {
			permit.Record()
			return
		}
		permit.Drop()
	}, true
}

// peer is a limiter of go-concurrency-limits with its defaults. Its limiters
// gather samples in windows of their own; its WindowedLimit inside one of them
// would never see a second window, since it is not told when calls began.
type peer struct {
	core.Limiter
	limit core.Limit
}

func aimd() core.Limit      { return limit.NewDefaultAIMDLimit("", nil) }
func vegas() core.Limit     { return limit.NewDefaultVegasLimit("", nil, nil) }
func gradient2() core.Limit { return limit.NewDefaultGradient2Limit("", nil, nil) }

func newPeer(algorithm func() core.Limit) Limiter {
	const window, threshold, samples = time.Second, 100 * time.Microsecond, 100 // as by default
	l := algorithm()
	d, err := limiter.NewDefaultLimiter(l, window.Nanoseconds(), window.Nanoseconds(), threshold.Nanoseconds(), samples,
		strategy.NewSimpleStrategy(l.EstimatedLimit()), limit.NoopLimitLogger{}, core.EmptyMetricRegistryInstance)
	if err != nil {
		panic(err)
	}
	return peer{d, l}
}

// newPeerQueue lets those wait who come too many: a hundred of them, a second,
// or until they give up.
func newPeerQueue(algorithm func() core.Limit) Limiter {
	p := newPeer(algorithm).(peer)
	p.Limiter = limiter.NewQueueBlockingLimiterFromConfig(p.Limiter, limiter.QueueLimiterConfig{BacklogEvictDoneCtx: true})
	return p
}

func (p peer) Acquire(ctx context.Context) (func(context.Context, bool), bool) {
	listener, ok := p.Limiter.Acquire(ctx)
	if !ok {
		return nil, false
	}
	return func(_ context.Context, ok bool) {
		if ok {
			listener.OnSuccess()
			return
		}
		listener.OnDropped()
	}, true
}

func (p peer) Limit() int { return p.limit.EstimatedLimit() }
