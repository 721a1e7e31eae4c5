package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/pool"
	"github.com/magnetar-go/magnetar/transport"
)

// The names of the services, which only the shop's own resolver knows.
const (
	stockHost  = "stock.internal"
	pricesHost = "prices.internal"
	replicas   = 4 // of stock
)

// newClient is the one client for all services: the chain around a pool that
// knows where they are.
func newClient(where map[string][]string, each time.Duration) (*http.Client, *pool.Transport, error) {
	cfg := pool.DefaultTransport()
	cfg.MaxLifetime = each // so that there are always some that end
	pt, err := pool.NewTransport(cfg, pool.WithResolver(pool.Static(where)), pool.WithBalancer(pool.RoundRobin()))
	if err != nil {
		return nil, nil, err
	}
	chain := transport.Default()
	chain.Timeouts.Attempt = 250 * time.Millisecond
	return &http.Client{Transport: transport.New(pt, chain)}, pt, nil
}

// mood is how a service fails: shares of its answers.
type mood struct {
	fails, hangs float64
}

// service answers after a while, unless it is in a bad mood.
type service struct {
	*demo.Server

	mood atomic.Pointer[mood]
}

const takesToAnswer = 5 * time.Millisecond

func startService(ctx context.Context) (*service, error) {
	s := &service{}
	s.turn(mood{})
	server, err := demo.Serve(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("a service did not start: %w", err)
	}
	s.Server = server
	return s, nil
}

func (s *service) turn(m mood) { s.mood.Store(&m) }

// address is "ip:port".
func (s *service) address() string { return strings.TrimPrefix(s.URL, "http://") }

// ServeHTTP implements [http.Handler].
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m, dice := s.mood.Load(), rand.Float64()
	switch {
	case dice < m.hangs:
		<-r.Context().Done() // until the client has enough
	case dice < m.hangs+m.fails:
		http.Error(w, "not today", http.StatusServiceUnavailable)
	case demo.Sleep(r.Context(), takesToAnswer):
		_, _ = io.WriteString(w, "here you are\n") // the client may have gone
	}
}
