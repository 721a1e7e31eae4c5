package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/database/postgres"
	"github.com/magnetar-go/magnetar/examples/internal/daemon"
	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

const (
	database       = "shop"
	maxConnections = 25 // of the server; 3 of them are kept for superusers
)

// postgreSQL refuses to be root's.
var postgreSQL = daemon.Program{Name: "postgres", Package: "postgresql", User: "postgres"}

// server is a PostgreSQL with a cluster of its own, made by initdb and run in
// the foreground as a child of this process. Debian's pg_ctlcluster would write
// to /etc, and leave a server behind that outlives a program that dies.
type server struct {
	*daemon.Daemon

	data string

	superuser, user credentials
}

// credentials have a password that changes.
type credentials struct {
	name string

	mu       sync.Mutex
	password string
}

// newServer starts one. It has a database with a few accounts.
func newServer(t testing.TB) *server {
	t.Helper()
	d := daemon.New(t, postgreSQL)
	s := &server{Daemon: d, data: filepath.Join(d.Dir, "data")}
	s.superuser.name, s.superuser.password = "postgres", rand.Text()
	s.user.name, s.user.password = "shop", rand.Text()
	d.Run("initdb", "--pgdata", s.data, "--username", s.superuser.name, "--pwfile", d.File("password", s.superuser.password),
		"--auth-host", "scram-sha-256", "--auth-local", "reject", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	d.Start("-D", s.data, "-p", strconv.Itoa(d.Port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "max_connections="+strconv.Itoa(maxConnections), "-c", "deadlock_timeout=20ms", "-c", "log_min_messages=log",
		"-c", "fsync=off") // what is lost then is lost with the machine, not with the server
	t.Cleanup(s.hurry)
	s.furnish(t)
	return s
}

func (s *server) furnish(t testing.TB) {
	t.Helper()
	s.admin(t, "postgres",
		fmt.Sprintf("create role %s login password '%s'", s.user.name, s.user.password),
		fmt.Sprintf("create database %s owner %s", database, s.user.name))
	s.admin(t, database, fmt.Sprintf("set role %s", s.user.name),
		"create table account (id int primary key, balance bigint not null)",
		// Without a unique key: a transaction that is done twice is to be seen.
		"create table booking (key text not null, account int not null)",
		postgres.Keys,
		fmt.Sprintf("insert into account select n, 0 from generate_series(0, %d) n", accounts-1))
}

// hurry has the server end without waiting for those connected.
func (s *server) hurry() { s.Signal(syscall.SIGINT) }

// stop is pg_ctl's, in a mode of its: fast or immediate.
func (s *server) stop(mode string) {
	s.Run("pg_ctl", "stop", "-D", s.data, "-m", mode)
	s.Stop()
}

// url is for the user at an address, without its password; credentials.ask has
// that.
func (s *server) url(address string) string {
	u := url.URL{Scheme: "postgres", User: url.User(s.user.name), Host: address, Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

// admin runs statements as the superuser.
func (s *server) admin(t testing.TB, database string, statements ...string) {
	t.Helper()
	conn := s.connect(t, &s.superuser, database)
	for _, statement := range statements {
		_, err := conn.Exec(context.WithoutCancel(t.Context()), statement)
		require.NoError(t, err, statement)
	}
	require.NoError(t, conn.Close(context.WithoutCancel(t.Context())))
}

// connect waits for a server that starts.
func (s *server) connect(t testing.TB, as *credentials, database string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		conn, err := s.dial(ctx, as, database)
		if err == nil {
			return conn
		}
		require.True(t, demo.Sleep(ctx, 20*time.Millisecond), err)
	}
}

func (s *server) dial(ctx context.Context, as *credentials, database string) (*pgx.Conn, error) {
	password, _ := as.ask(ctx)
	u := url.URL{Scheme: "postgres", User: url.UserPassword(as.name, password), Host: s.Address(), Path: database, RawQuery: "sslmode=disable"}
	return pgx.Connect(ctx, u.String())
}

// ask is for [postgres.WithPassword].
func (c *credentials) ask(context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.password, nil
}

func (c *credentials) rotate(password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.password = password
}
