package main

import (
	"context"
	"net"
	"net/http"
	"time"
)

// scraped is the server that Prometheus asks. It is none of the shop's, so that
// it answers whatever the shop is in.
type scraped struct {
	address string
	http    *http.Server
	ended   chan struct{}
}

func serveMetrics(ctx context.Context, addr string, t *telemetry) (*scraped, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", t.handler)
	s := &scraped{
		address: l.Addr().String(),
		http:    &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second},
		ended:   make(chan struct{}),
	}
	go func() {
		defer close(s.ended)
		_ = s.http.Serve(l) // it ends with close
	}()
	return s, nil
}

// close lets a scrape finish that is under way.
func (s *scraped) close() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	<-s.ended
}
