package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// plan is what the shop goes through, again and again.
type plan struct {
	lasts                  time.Duration
	rate                   int // requests a second
	crowd                  int // more, while it lasts
	paymentsIll, searchIll span
	crowded                span
}

// span is a part of the plan.
type span struct{ from, to time.Duration }

func (s span) has(at time.Duration) bool { return s.from <= at && at < s.to }

// day is short enough to be watched.
var day = plan{
	lasts:       40 * time.Second,
	rate:        60,
	crowd:       1500,
	searchIll:   span{5 * time.Second, 15 * time.Second},
	paymentsIll: span{12 * time.Second, 20 * time.Second},
	crowded:     span{28 * time.Second, 32 * time.Second},
}

// start has the plan go on until the function that it returns has returned, or
// ctx has ended.
func (p plan) start(ctx context.Context, b *backends, url string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone(), Timeout: 5 * time.Second}
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 200
	var wg sync.WaitGroup
	var crowded atomic.Bool
	wg.Go(func() {
		for began := time.Now(); demo.Sleep(ctx, 100*time.Millisecond); {
			at := time.Since(began) % p.lasts
			b.paymentsIll.Store(p.paymentsIll.has(at))
			b.searchers[1].ill.Store(p.searchIll.has(at))
			crowded.Store(p.crowded.has(at))
		}
	})
	always := func() bool { return true }
	wg.Go(func() { visit(ctx, client, url, p.rate, always) })
	wg.Go(func() { visit(ctx, client, url, p.crowd, crowded.Load) })
	return func() {
		cancel()
		wg.Wait()
		client.CloseIdleConnections()
	}
}

// visitors are at most so many at a time.
const visitors = 200

// visit makes so many requests a second, while open says so, until ctx ends.
func visit(ctx context.Context, client *http.Client, url string, rate int, open func() bool) {
	var wg sync.WaitGroup
	defer wg.Wait()
	places := make(chan struct{}, visitors)
	const beat = 20 * time.Millisecond
	due := 0.0
	for n := 0; demo.Sleep(ctx, beat); {
		if !open() {
			continue
		}
		for due += float64(rate) * beat.Seconds(); due >= 1; due-- {
			n++
			path := "/search"
			if n%2 == 0 {
				path = fmt.Sprintf("/orders/%d", n)
			}
			select {
			case places <- struct{}{}:
			default: // the shop is full
				continue
			}
			wg.Go(func() {
				_ = fetch(ctx, client, url+path) // what came of it is on the console
				<-places
			})
		}
	}
}
