package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
	"github.com/magnetar-go/magnetar/examples/internal/postgresd"
	"github.com/magnetar-go/magnetar/examples/internal/redisd"
)

// withServers starts real servers, as Debian packs them.
func withServers(ctx context.Context, w io.Writer, cfg Config, serve func(Config) error) error {
	var served error
	began := false
	err := daemon.Alone(ctx, func(t testing.TB) {
		if s := cfg.Shared; s != nil && s.URL == "" {
			_, _ = fmt.Fprintln(w, "No shared.url: a redis-server is started …")
			cfg.Shared = &Shared{"redis://" + redisd.Start(t).Address(), s.Config}
		}
		if cfg.Database.URL == "" {
			_, _ = fmt.Fprintln(w, "No database.url: a PostgreSQL is started …")
			s := startPostgreSQL(t)
			cfg.Database.URL = s.URL(s.User.Userinfo(), s.Address())
		}
		began = true
		served = serve(cfg)
	})
	if ctx.Err() != nil && !began {
		return context.Cause(ctx)
	}
	return errors.Join(served, err)
}

// startPostgreSQL starts one that has a thousand products.
func startPostgreSQL(t testing.TB) *postgresd.Server {
	t.Helper()
	s := postgresd.Start(t)
	s.Furnish(t, append(schema, `insert into product select n, 'product ' || n from generate_series(0, 999) n`)...)
	return s
}
