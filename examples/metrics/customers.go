package main

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// customers want one thing of the shop, so many times a second, however long it
// takes and whatever comes of it.
type customers struct {
	method, path string
	rate         atomic.Int64 // a second

	served, unserved atomic.Int64
}

// crowd is the most of them that wait at the same time.
const crowd = 256

func newCustomers(method, path string, rate int64) *customers {
	c := &customers{method: method, path: path}
	c.rate.Store(rate)
	return c
}

// come returns when ctx has ended and the last of them has left.
func (c *customers) come(ctx context.Context, client *http.Client, url string) {
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, crowd)
	for due := time.Now(); demo.Sleep(ctx, time.Until(due)); due = c.next(due) {
		select {
		case room <- struct{}{}:
			wg.Go(func() {
				defer func() { <-room }()
				c.ask(ctx, client, url)
			})
		default: // they turn round at the door
		}
	}
}

// next is when the one after who was due then is. A machine that is too slow for
// its timers has some come at once, but not those of more than a second.
func (c *customers) next(due time.Time) time.Time {
	due = due.Add(time.Second / time.Duration(c.rate.Load()))
	if earliest := time.Now().Add(-time.Second); due.Before(earliest) {
		return earliest
	}
	return due
}

func (c *customers) ask(ctx context.Context, client *http.Client, url string) {
	req, err := http.NewRequestWithContext(ctx, c.method, url+c.path, nil)
	if err != nil {
		c.unserved.Add(1)
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			c.unserved.Add(1)
		}
		return
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode >= http.StatusBadRequest {
		c.unserved.Add(1)
		return
	}
	c.served.Add(1)
}
