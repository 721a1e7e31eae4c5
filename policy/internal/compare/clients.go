package compare

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// run is one scenario in progress.
type run struct {
	Scenario
	limiter Limiter
	server  server
	tally   *tally
	began   time.Time
	closed  atomic.Bool // clients are turned away before they call
	calls   sync.WaitGroup
}

// simulate runs s before a limiter of make's; equal seeds bring the same calls.
// It must be called inside a bubble.
func simulate(s Scenario, limiter Limiter, seed uint64) Result {
	s = s.withDefaults()
	r := &run{Scenario: s, limiter: limiter, server: s.server(), tally: newTally(s), began: time.Now()}
	steps := make([]*time.Timer, 0, len(s.Steps))
	for _, step := range s.Steps {
		steps = append(steps, time.AfterFunc(step.At, func() { r.server.slow(step.Factor) }))
	}
	r.arrive(rand.New(rand.NewPCG(seed, seed)))
	limit := limiter.Limit()

	r.closed.Store(true)
	for _, step := range steps {
		step.Stop()
	}
	r.server.stop()
	r.calls.Wait()
	if l, ok := limiter.(io.Closer); ok {
		_ = l.Close()
	}
	return r.tally.result(limit)
}

// call is what one client wants, with as many tries as it takes. All that is
// random about it is drawn when it arrives, so that it is the same before every
// limiter.
type call struct {
	ctx      context.Context //nolint:containedctx // a client's, not a server's
	work     time.Duration
	patience time.Duration
	critical bool
	jitter   [maxRetries]float64
	tries    int
}

const maxRetries = 3

// arrive lets calls come until the end. They come as a Poisson process: however
// the server fares, so many arrive.
func (r *run) arrive(rng *rand.Rand) {
	critical := policy.ContextWithPriority(context.Background(), policy.Critical)
	end := r.Warmup + r.Measured
	// Thinning: arrivals at the highest rate, of which some are left out.
	highest := r.rate(0)
	for at := gap(rng, highest); at < end; at += gap(rng, highest) {
		if r.Burst.Period > 0 && rng.Float64() >= r.rate(at)/highest {
			continue
		}
		c := &call{
			ctx:      context.Background(),
			work:     time.Duration(float64(r.Mean) * r.Dist.draw(rng)),
			patience: r.Timeout,
		}
		if c.critical = rng.Float64() < r.Critical; c.critical {
			c.ctx = critical //nolint:fatcontext // each call's own
		}
		if rng.Float64() < r.Cancelling {
			c.patience = time.Duration(rng.Float64() * float64(min(r.Timeout, 4*r.Mean)))
		}
		for i := range r.Retries {
			c.jitter[i] = rng.Float64()
		}
		time.Sleep(time.Until(r.began.Add(at)))
		alone := time.Duration(float64(c.work) * r.factor(at))
		r.tally.arrived(at, c.critical, alone <= c.patience)
		r.calls.Go(func() { r.try(c) })
	}
	time.Sleep(time.Until(r.began.Add(end)))
}

func gap(rng *rand.Rand, rate float64) time.Duration {
	return time.Duration(rng.ExpFloat64() / rate * float64(time.Second))
}

// try is one request of c.
func (r *run) try(c *call) {
	var over atomic.Bool // the client's part: answered, refused or gone
	arrived := time.Now()
	r.tally.tried(r.now())
	ctx, end := r.wait(c, &over)
	defer end()

	release, admitted := r.limiter.Acquire(ctx)
	if !admitted {
		if ctx.Err() == nil {
			r.tally.refused(r.now())
			r.server.burden(r.RefusalCost)
			if !over.Swap(true) {
				r.again(c)
			}
		}
		return
	}
	served := r.server.serve(ctx, c.work)
	release(ctx, ctx.Err() == nil)
	took := time.Since(arrived)
	if served && took <= c.patience && !over.Swap(true) {
		r.tally.answered(r.now(), took, c.critical)
	}
}

// wait returns the context in which a server works for a client who waits for
// an answer as long as its patience lasts. When it has gone, it tries again.
func (r *run) wait(c *call, over *atomic.Bool) (context.Context, func()) {
	ctx, cancel := c.ctx, context.CancelFunc(func() {})
	switch r.Clients {
	case Cancel:
		ctx, cancel = context.WithCancel(ctx)
	case Deadline:
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
	}
	if r.Clients != Cancel && r.Retries == 0 && c.patience == r.Timeout {
		return ctx, cancel
	}
	gone := time.AfterFunc(c.patience, func() {
		if r.Clients != Blind {
			cancel()
		}
		if !over.Swap(true) {
			r.again(c)
		}
	})
	return ctx, func() {
		cancel()
		if over.Load() {
			gone.Stop()
		}
	}
}

// again retries c with growing, jittered pauses. Whoever gives up early has no
// use for another try.
func (r *run) again(c *call) {
	if c.tries == r.Retries || c.patience < r.Timeout || r.closed.Load() {
		return
	}
	const first = 50 * time.Millisecond
	pause := time.Duration((0.5 + c.jitter[c.tries]) * float64(first<<c.tries))
	c.tries++
	r.calls.Add(1)
	time.AfterFunc(pause, func() {
		defer r.calls.Done()
		if !r.closed.Load() {
			r.try(c)
		}
	})
}

func (r *run) now() time.Duration { return time.Since(r.began) }
