package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/policy"
)

// plan is a load and what the server does meanwhile.
type plan struct {
	rate    int // calls a second, by each client
	workers int // of each client: so many calls at most are under way
	phases  []phase
}

type phase struct {
	name  string
	lasts time.Duration
	mood  mood
}

// client is one way to call the server.
type client struct {
	name    string
	http    *http.Client
	url     string
	tries   *atomic.Int64 // that have reached the server
	breaker func() string

	counts [3]atomic.Int64 // of calls, by ending
}

// call is what came of one call.
type call struct {
	due  time.Duration // since the phase began
	took time.Duration // from when it was due, so that a late start counts
	ending
}

type ending uint8

const (
	failed ending = iota
	answered
	refused // locally: the server never saw it
)

// slowest is the longest delay of the plan.
func (p plan) slowest() time.Duration {
	var most time.Duration
	for _, ph := range p.phases {
		most = max(most, ph.mood.delay)
	}
	return most
}

// run goes through the phases. A phase begins when all calls of the one before
// have ended, so that each try belongs to one phase.
func (p plan) run(ctx context.Context, s *server, clients []*client, w io.Writer) ([]row, error) {
	var rows []row
	for _, ph := range p.phases {
		s.mood.Store(&ph.mood)
		stop := showProgress(w, ph, clients)
		results := make([]row, len(clients))
		var wg sync.WaitGroup
		for i, c := range clients {
			wg.Go(func() { results[i] = p.measure(ctx, ph, c) })
		}
		wg.Wait()
		stop()
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("interrupted while %s: %w", ph.name, err)
		}
		rows = append(rows, results...)
	}
	return rows, nil
}

func (p plan) measure(ctx context.Context, ph phase, c *client) row {
	before := c.tries.Load()
	calls := p.offer(ctx, ph.lasts, c)
	r := summarize(calls)
	r.phase, r.client = ph.name, c.name
	r.tries = int(c.tries.Load() - before)
	r.breaker = c.breaker()
	return r
}

// offer makes calls at the plan's rate, whatever becomes of them: an open loop.
// The calls have their times beforehand, and the next free worker takes the next
// one; if none is free, the call is late, and that counts as its time.
func (p plan) offer(ctx context.Context, lasts time.Duration, c *client) []call {
	calls := make([]call, int(lasts.Seconds()*float64(p.rate)))
	began := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range p.workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(calls) {
					return
				}
				due := time.Duration(i) * time.Second / time.Duration(p.rate)
				if !demo.Sleep(ctx, time.Until(began.Add(due))) {
					return
				}
				end := c.call(ctx)
				calls[i] = call{due, time.Since(began) - due, end}
			}
		})
	}
	wg.Wait()
	return calls
}

func (c *client) call(ctx context.Context) ending {
	e := endingOf(c.get(ctx))
	c.counts[e].Add(1)
	return e
}

func (c *client) get(ctx context.Context) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func endingOf(status int, err error) ending {
	switch {
	case policy.Refused(err):
		return refused
	case err == nil && status == http.StatusOK:
		return answered
	}
	return failed
}
