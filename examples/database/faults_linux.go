package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/database/postgres"
	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/examples/internal/postgresd"
	"github.com/magnetar-go/magnetar/pool"
)

// fault is what happens to the database while calls are made.
type fault struct {
	name, about string
	calls       []call
	workers     int
	pool        pool.Config
	play        func(*stage)
	// cut has the connections pass a cutter.
	cut bool
}

// stage is where a fault is played. Its methods are for the goroutine of its
// test.
type stage struct {
	t      testing.TB
	ctx    context.Context // of the load
	server *server
	db     *postgres.DB
	load   *load
}

var everyone = []call{read, write, writeOnce, read}

var faults = []fault{
	{
		name: "every connection terminated", about: "pg_terminate_backend, on all at once, again and again",
		calls: everyone, play: terminated,
	},
	{
		name: "restart, fast", about: "pg_ctl stop -m fast, and started again after half a second",
		calls: everyone, play: restarted("fast"),
	},
	{
		name: "restart, immediate", about: "pg_ctl stop -m immediate: it recovers as from a crash",
		calls: everyone, play: restarted("immediate"),
	},
	{
		name: "max_connections reached", about: "a pool of 40 and others at a server of 25",
		calls: everyone, play: crowded, workers: 40, pool: pool.Config{MaxSize: 40},
	},
	{
		name: "password rotated", about: "ALTER ROLE, and Retire",
		calls: everyone, play: rotated,
	},
	{
		name: "connection cut during COMMIT", about: "before the server gets it, or before its answer arrives",
		calls: everyone, play: inDoubt, cut: true,
	},
	{
		name: "serialization failures", about: "serializable transactions at four rows",
		calls: []call{contended}, play: lasting, workers: 5,
	},
	{
		name: "deadlocks", about: "two of four rows locked in any order",
		calls: []call{crossed}, play: lasting, workers: 5,
	},
}

// survive plays a fault under load, and returns what came of it.
func (f fault) survive(t testing.TB, s *server) *result {
	t.Helper()
	address := s.Address()
	if f.cut {
		c, err := postgresd.NewCutter(t.Context(), address, 10)
		require.NoError(t, err)
		defer c.Close()
		address = c.Address()
	}
	cfg := postgres.Default(s.url(address))
	if f.pool.MaxSize > 0 {
		cfg.Pool.MaxSize = f.pool.MaxSize
	}
	l := &load{calls: f.calls, result: newResult(f.name)}
	db, err := postgres.Open(cfg, postgres.WithPassword(s.User.Ask), postgres.WithObserver(l))
	require.NoError(t, err)
	defer hangUp(t, db)
	l.db = db

	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	working.Go(func() { l.run(ctx, cmp.Or(f.workers, 12)) })
	here := &stage{t, ctx, s, db, l}
	f.play(here)
	lasting(here)
	cancel()
	working.Wait()
	hangUp(t, db) // it may have all connections that there are

	auditor, err := postgres.Open(postgres.Default(s.url(s.Address())), postgres.WithPassword(s.User.Ask))
	require.NoError(t, err)
	defer hangUp(t, auditor)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	require.NoError(t, l.result.audit(t.Context(), auditor))
	return &l.result
}

// hangUp closes all connections, however its test ended.
func hangUp(t testing.TB, db *postgres.DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	if err := db.Close(ctx); err != nil {
		t.Errorf("%v", err)
	}
}

// lasting lets time pass.
func lasting(s *stage) { demo.Sleep(s.ctx, 800*time.Millisecond) }

// inDoubt lasts until so many commits are of unknown fate that some of them have
// happened, and some have not.
func inDoubt(s *stage) {
	const enough = 20
	for began := time.Now(); s.load.unknown() < enough && time.Since(began) < patience; {
		demo.Sleep(s.ctx, 10*time.Millisecond)
	}
}

func terminated(s *stage) {
	for range 8 {
		s.server.Terminate(s.t)
		demo.Sleep(s.ctx, 150*time.Millisecond)
	}
}

// end ends every session of the user, by a connection that lasts.
func (s *stage) end(by *pgx.Conn) {
	_, err := by.Exec(context.WithoutCancel(s.ctx), `select pg_terminate_backend(pid) from pg_stat_activity where usename = $1`, s.server.User.Name)
	require.NoError(s.t, err)
}

func restarted(mode string) func(*stage) {
	return func(s *stage) {
		lasting(s)
		s.server.Quit(mode)
		demo.Sleep(s.ctx, 500*time.Millisecond)
		s.server.Restart()
	}
}

// crowded has others take half of the connections, for a while.
func crowded(s *stage) {
	others := []*pgx.Conn{s.server.Connect(s.t, s.server.Superuser, "postgres")}
	s.end(others[0])
	for len(others) < maxConnections/2 && s.ctx.Err() == nil {
		conn, err := s.server.Dial(s.ctx, s.server.Superuser, "postgres")
		if err != nil { // the pool was faster
			s.end(others[0])
			continue
		}
		others = append(others, conn)
	}
	demo.Sleep(s.ctx, time.Second)
	for _, conn := range others {
		require.NoError(s.t, conn.Close(context.WithoutCancel(s.ctx)))
	}
}

// rotated gives the role a new password, then the program, then leaves the
// connections that were made with the old one.
func rotated(s *stage) {
	for range 5 {
		password := rand.Text()
		s.server.Admin(s.t, "postgres", fmt.Sprintf("alter role %s password '%s'", s.server.User.Name, password))
		s.server.User.Rotate(password)
		s.db.Retire("password rotated")
		demo.Sleep(s.ctx, 250*time.Millisecond)
	}
}
