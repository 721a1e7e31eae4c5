package medicine

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// clients are many, each with a transport of its own, as so many
// processes are.
type clients struct {
	each []*transport.Transport
	base []*http.Transport
	seen told
}

// told counts the clients' decisions.
type told struct{ opened, holds atomic.Int64 }

func (s *told) Observe(_ context.Context, d policy.Decision) {
	switch {
	case d.Policy == policy.PolicyBreaker && d.Action == policy.ActionOpen:
		s.opened.Add(1)
	case d.Policy == policy.PolicyThrottle && d.Action == policy.ActionHold:
		s.holds.Add(1)
	}
}

func newClients(n int, s *server) *clients {
	c := &clients{}
	for range n {
		base := &http.Transport{DialContext: s.listener.dial, MaxIdleConnsPerHost: 100}
		c.base = append(c.base, base)
		c.each = append(c.each, transport.New(base, transport.Default(), transport.WithObserver(&c.seen)))
	}
	return c
}

// allClosed reports whether the breakers are, and have been ever since.
func (c *clients) allClosed() bool {
	for _, one := range c.each {
		for s := range one.States() {
			if s.Breaker.State != policy.Closed {
				return false
			}
		}
	}
	return c.seen.opened.Load() == 0
}

func (c *clients) close() {
	for _, base := range c.base {
		base.CloseIdleConnections()
	}
}

// call is what came of one call of a user.
type call struct {
	at, took time.Duration // at: since the load began
	ok       bool
	held     bool // refused, its client's key being held
}

// load offers calls at rate per second for a time, each at a client drawn by
// lot. patience is a call's deadline; zero is none.
func (c *clients) load(rate float64, lasting, patience time.Duration, seed uint64) []call {
	began := time.Now()
	rng := rand.New(rand.NewPCG(seed, 1))
	var (
		calls []*call
		wg    sync.WaitGroup
	)
	for at := gap(rng, rate); at < lasting; at += gap(rng, rate) {
		time.Sleep(time.Until(began.Add(at)))
		one := &call{at: at}
		calls = append(calls, one)
		by := c.each[rng.IntN(len(c.each))]
		wg.Go(func() { one.make(by, patience) })
	}
	wg.Wait()
	all := make([]call, len(calls))
	for i, one := range calls {
		all[i] = *one
	}
	return all
}

func gap(r *rand.Rand, rate float64) time.Duration {
	return time.Duration(r.ExpFloat64() / rate * float64(time.Second))
}

func (one *call) make(by http.RoundTripper, patience time.Duration) {
	ctx := context.Background()
	if patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://server/", nil)
	if err != nil {
		panic(err)
	}
	began := time.Now()
	resp, err := (&http.Client{Transport: by}).Do(req)
	one.took = time.Since(began)
	if err != nil {
		one.held = errors.Is(err, policy.ErrRateLimitExceeded)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	one.ok = resp.StatusCode == http.StatusOK
}
