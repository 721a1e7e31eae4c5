package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/go-chi/chi/v5"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// standIn fills in what cfg leaves open, so that the service can be run alone, and
// ends it when serve returns. It is no part of the service.
func standIn(ctx context.Context, w io.Writer, cfg Config, serve func(Config) error) error {
	for _, u := range []*Upstream{&cfg.Upstreams.Prices, &cfg.Upstreams.Stock} {
		if u.URL != "" {
			continue
		}
		srv, err := demo.Serve(ctx, numbers())
		if err != nil {
			return err
		}
		defer srv.Close()
		u.URL = srv.URL
	}
	if cfg.Database.URL != "" && (cfg.Shared == nil || cfg.Shared.URL != "") {
		return serve(cfg)
	}
	return withServers(ctx, w, cfg, serve)
}

// numbers answers with one, but for every tenth request.
func numbers() http.Handler {
	var requests atomic.Int64
	r := chi.NewRouter()
	r.Get("/{of}/{id}", func(w http.ResponseWriter, _ *http.Request) {
		n := requests.Add(1)
		if n%10 == 0 {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprint(w, 100+n%7) // the client may have gone
	})
	return r
}
