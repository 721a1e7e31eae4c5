package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// plan is a resource, and what it goes through.
type plan struct {
	slots    int
	takes    time.Duration // each piece of work, on average
	patience time.Duration // of the clients
	phases   []phase
}

type phase struct {
	name   string
	lasts  time.Duration // whole windows
	load   float64       // times what the resource can do when it is not slowed
	slower float64       // times as long as usual; zero: as usual
}

// capacity is how many requests a second the resource can do in a phase.
func (p plan) capacity(ph phase) float64 {
	return float64(p.slots) / p.takes.Seconds() / ph.slowdown()
}

func (p plan) lasts() (total time.Duration) {
	for _, ph := range p.phases {
		total += ph.lasts
	}
	return total
}

func (ph phase) slowdown() float64 { return max(ph.slower, 1) }

// ride is a server's way through a plan.
type ride struct {
	name   string
	plan   plan
	guards []func(http.Handler) http.Handler
	series
}

func newRide(name string, p plan, guards ...func(http.Handler) http.Handler) *ride {
	return &ride{name: name, plan: p, guards: guards, series: newSeries(p.lasts())}
}

type ending uint8

const (
	answered ending = iota
	refused         // 503
	failed          // no answer while the client waited
)

// run offers requests to url by the plan, whatever becomes of them: an open loop
// with exponential gaps, the same for each ride.
func (r *ride) run(ctx context.Context, db *resource, url string) error {
	client := &http.Client{Transport: base()}
	defer client.CloseIdleConnections()
	rng := rand.New(rand.NewPCG(1, 2))
	began := r.begin()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	due, end := time.Duration(0), time.Duration(0)
	for _, ph := range r.plan.phases {
		db.slow(ph.slowdown())
		gap := float64(time.Second) / (ph.load * r.plan.capacity(phase{}))
		for end += ph.lasts; due < end; due += time.Duration(rng.ExpFloat64() * gap) {
			if !demo.Sleep(ctx, time.Until(began.Add(due))) {
				return fmt.Errorf("interrupted %s, at %s", r.name, ph.name)
			}
			at := due
			r.offer(at, time.Since(began))
			wg.Go(func() {
				e := r.call(ctx, client, url, began.Add(at))
				r.note(at, time.Since(began), e)
			})
		}
	}
	demo.Sleep(ctx, time.Until(began.Add(end)))
	return nil
}

// call waits from when the request was due, so that a late start counts.
func (r *ride) call(ctx context.Context, client *http.Client, url string, due time.Time) ending {
	ctx, cancel := context.WithDeadline(ctx, due.Add(r.plan.patience))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return failed
	}
	resp, err := client.Do(req)
	if err != nil {
		return failed
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	switch {
	case err != nil:
		return failed
	case resp.StatusCode == http.StatusServiceUnavailable:
		return refused
	case resp.StatusCode != http.StatusOK:
		return failed
	}
	return answered
}

// base keeps all the connections it has made. A request that is given up costs
// its connection; without lingering that leaves no port in use.
func base() *http.Transport {
	var d net.Dialer
	return &http.Transport{
		MaxIdleConnsPerHost: 1 << 16,
		DisableCompression:  true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := d.DialContext(ctx, network, address)
			if tcp, ok := conn.(*net.TCPConn); ok {
				err = tcp.SetLinger(0)
			}
			return conn, err
		},
	}
}
