package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// backends are what the shop calls.
type backends struct {
	payments    *demo.Server
	paymentsIll atomic.Bool

	searchURL string
	searchers []*searcher
}

// searcher is one of the servers behind the name of the search.
type searcher struct {
	address string // "ip:port"
	ill     atomic.Bool
	http    *http.Server
	ended   chan struct{}
}

// searchHost is a name that only the shop's resolver knows.
const searchHost = "search.test"

var errNoPort = errors.New("no port is free on all of 127.0.0.11 to 127.0.0.13 (only Linux gives all of 127.0.0.0/8 to loopback)")

func startBackends(ctx context.Context) (*backends, error) {
	b := &backends{}
	var err error
	b.payments, err = demo.Serve(ctx, moody(&b.paymentsIll, 15*time.Millisecond))
	if err != nil {
		return nil, err
	}
	for range 10 {
		if b.startSearch(ctx) {
			return b, nil
		}
	}
	b.close()
	return nil, errNoPort
}

// startSearch starts three servers on addresses of their own with the same port.
func (b *backends) startSearch(ctx context.Context) bool {
	port := "0"
	for _, ip := range []string{"127.0.0.11", "127.0.0.12", "127.0.0.13"} {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(ip, port))
		if err != nil {
			b.stopSearch()
			return false
		}
		s := &searcher{address: l.Addr().String(), ended: make(chan struct{})}
		_, port, _ = net.SplitHostPort(s.address)
		s.http = &http.Server{Handler: moody(&s.ill, 25*time.Millisecond), ReadHeaderTimeout: time.Second}
		b.searchers = append(b.searchers, s)
		go func() {
			defer close(s.ended)
			_ = s.http.Serve(l) // it ends with stopSearch
		}()
	}
	b.searchURL = "http://" + net.JoinHostPort(searchHost, port) + "/"
	return true
}

// Resolve makes the backends a [pool.Resolver].
func (b *backends) Resolve(context.Context, string) ([]string, error) {
	var addresses []string
	for _, s := range b.searchers {
		addresses = append(addresses, s.address)
	}
	return addresses, nil
}

func (b *backends) stopSearch() {
	for _, s := range b.searchers {
		_ = s.http.Close()
		<-s.ended
	}
	b.searchers = nil
}

func (b *backends) close() {
	b.payments.Close()
	b.stopSearch()
}

// moody answers after some time; ill, with 500.
func moody(ill *atomic.Bool, takes time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !demo.Sleep(r.Context(), takes) {
			return
		}
		if ill.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, "so be it\n") // the client may have gone
	}
}
