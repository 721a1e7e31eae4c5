package policy_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// load is calls that come at random to a service of so many slots behind a
// limit. It must run in a bubble.
type load struct {
	limit   *policy.Concurrency
	slots   int
	mean    time.Duration // of a service, exponential
	times   float64       // what the service can do
	timeout time.Duration // of a call; default: half a second
	hidden  bool          // the deadline is not in the context, until it has passed

	caller func(call int, ctx context.Context) context.Context
	slow   func(began time.Time) time.Duration // added to a service
	each   func(*call)                         // when it has ended
}

// call is one of them.
type call struct {
	number   int
	arrived  time.Time
	admitted time.Time // zero: it was refused
	deadline time.Time
	served   bool
	err      error
}

// run lets calls come for so long and waits until all have ended.
func (l load) run(lasting time.Duration) (calls, served, refused int) {
	rng := rand.New(rand.NewPCG(7, 7))
	slots := make(chan struct{}, l.slots)
	rate := l.times * float64(l.slots) / l.mean.Seconds()
	end := time.Now().Add(lasting)
	var all sync.WaitGroup
	var mu sync.Mutex
	for at := time.Now(); at.Before(end); at = at.Add(time.Duration(rng.ExpFloat64() / rate * float64(time.Second))) {
		time.Sleep(time.Until(at))
		c := &call{number: calls, arrived: time.Now()}
		work := time.Duration(rng.ExpFloat64() * float64(l.mean))
		calls++
		all.Go(func() {
			l.try(c, slots, work)
			mu.Lock()
			defer mu.Unlock()
			if c.served {
				served++
			}
			if policy.Refused(c.err) {
				refused++
			}
			if l.each != nil {
				l.each(c)
			}
		})
	}
	all.Wait()
	return calls, served, refused
}

func (l load) try(c *call, slots chan struct{}, work time.Duration) {
	timeout := l.timeout
	if timeout == 0 {
		timeout = 500 * time.Millisecond
	}
	c.deadline = c.arrived.Add(timeout)
	ctx, cancel := l.patience(c)
	defer cancel()
	if l.caller != nil {
		ctx = l.caller(c.number, ctx)
	}
	permit, err := l.limit.Admit(ctx)
	if err != nil {
		c.err = err
		return
	}
	outcome := policy.Ignored
	defer func() { permit.Done(ctx, outcome) }()
	c.admitted = time.Now()
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-slots }()
	if l.slow != nil {
		work += l.slow(time.Now())
	}
	time.Sleep(work)
	if ctx.Err() == nil {
		c.served, outcome = true, policy.Success
	}
}

func (l load) patience(c *call) (context.Context, context.CancelFunc) {
	if !l.hidden {
		return context.WithDeadline(context.Background(), c.deadline)
	}
	ctx, cancel := context.WithCancel(context.Background())
	timer := time.AfterFunc(time.Until(c.deadline), cancel)
	return ctx, func() {
		timer.Stop()
		cancel()
	}
}
