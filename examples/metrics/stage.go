package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/pool"
)

// stage is the shop, with all that it depends on and those who want something of
// it.
type stage struct {
	stock    []*service
	prices   *service
	database *database
	pool     *pool.Transport
	shop     *demo.Server

	customers struct{ items, prices, orders *customers }

	closers []func()
}

// Customers come so many times a second; in a rush three times as many order as
// can be served.
const (
	look  = 30
	order = 10
	rush  = 120
)

func newStage(ctx context.Context, each time.Duration) (*stage, error) {
	s := &stage{}
	if err := s.build(ctx, each); err != nil {
		s.close()
		return nil, err
	}
	s.customers.items = newCustomers(http.MethodGet, "/items/42", look)
	s.customers.prices = newCustomers(http.MethodGet, "/prices/42", look)
	s.customers.orders = newCustomers(http.MethodPost, "/orders", order)
	return s, nil
}

func (s *stage) build(ctx context.Context, each time.Duration) error {
	where := make(map[string][]string)
	for i := range replicas + 1 {
		one, err := startService(ctx)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, one.Close)
		if i < replicas {
			s.stock = append(s.stock, one)
			where[stockHost] = append(where[stockHost], one.address())
		} else {
			s.prices = one
			where[pricesHost] = []string{one.address()}
		}
	}
	client, pt, err := newClient(where, each)
	if err != nil {
		return err
	}
	s.pool = pt
	s.closers = append(s.closers, func() { _ = pt.Close() })
	if s.database, err = newDatabase(each / 3); err != nil {
		return err
	}
	s.closers = append(s.closers, s.database.close)
	if s.shop, err = demo.Serve(ctx, newShop(client, s.database).handler()); err != nil {
		return err
	}
	s.closers = append(s.closers, s.shop.Close)
	return nil
}

// close ends everything, the shop first.
func (s *stage) close() {
	for _, closer := range slices.Backward(s.closers) {
		closer()
	}
}

// play goes through the troubles again and again until ctx ends.
func (s *stage) play(ctx context.Context, w io.Writer, each time.Duration) error {
	var wg sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: crowd}, Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := []*customers{s.customers.items, s.customers.prices, s.customers.orders}
	for _, c := range all {
		wg.Go(func() { c.come(ctx, client, s.shop.URL) })
	}
	for began := time.Now(); ctx.Err() == nil; {
		for _, t := range troubles {
			if _, err := fmt.Fprintf(w, "%8s  %s\n", time.Since(began).Round(time.Second), t); err != nil {
				return err
			}
			if !s.suffer(ctx, t, each) {
				break
			}
		}
	}
	_, err := fmt.Fprintln(w, "\nStopped:", summary(all))
	return err
}

// suffer reports whether a trouble was gone through to its end.
func (s *stage) suffer(ctx context.Context, t trouble, each time.Duration) bool {
	over := t.begin(s)
	defer over()
	return demo.Sleep(ctx, each)
}

func summary(all []*customers) string {
	var served, unserved int64
	for _, c := range all {
		served += c.served.Load()
		unserved += c.unserved.Load()
	}
	return fmt.Sprintf("%d customers were served, %d were not.", served, unserved)
}
