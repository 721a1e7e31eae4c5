package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-chi/chi/v5"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// standIns are what the service needs and nobody has configured, so that it can
// be run alone. They are no part of it.
type standIns struct{ closers []func() }

// standIn fills in what cfg leaves open.
func standIn(ctx context.Context, cfg *Config) (*standIns, error) {
	s := &standIns{}
	for _, u := range []*Upstream{&cfg.Upstreams.Prices, &cfg.Upstreams.Stock} {
		if u.URL != "" {
			continue
		}
		srv, err := demo.Serve(ctx, numbers())
		if err != nil {
			s.close()
			return nil, err
		}
		s.closers = append(s.closers, srv.Close)
		u.URL = srv.URL
	}
	if cfg.Database.Address == "" {
		db, err := startBase(ctx)
		if err != nil {
			s.close()
			return nil, err
		}
		s.closers = append(s.closers, db.close)
		cfg.Database.Address = db.listener.Addr().String()
	}
	return s, nil
}

func (s *standIns) close() {
	for _, c := range s.closers {
		c()
	}
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

// base is a database of a thousand names.
type base struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // guarded by mu; nil: closed
}

func startBase(ctx context.Context) (*base, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &base{listener: l, conns: make(map[net.Conn]struct{})}
	b.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if b.keep(conn) {
				b.serving.Go(func() { b.serve(conn) })
			}
		}
	})
	return b, nil
}

func (b *base) keep(conn net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conns == nil {
		_ = conn.Close()
		return false
	}
	b.conns[conn] = struct{}{}
	return true
}

func (b *base) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.conns, conn)
	}()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		answer := "OK"
		if id, ok := strings.CutPrefix(lines.Text(), "NAME "); ok {
			answer = "OK product " + id
			if len(id) > 3 {
				answer = "NONE"
			}
		}
		if _, err := fmt.Fprintln(conn, answer); err != nil {
			return
		}
	}
}

// drop ends all sessions.
func (b *base) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.conns {
		_ = conn.Close()
	}
}

func (b *base) close() {
	_ = b.listener.Close()
	b.drop()
	b.mu.Lock()
	b.conns = nil
	b.mu.Unlock()
	b.serving.Wait()
}
