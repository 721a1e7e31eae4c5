//go:build linux

package postgresd

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// Database is the one that a server is made with. Its user owns it.
const Database = "shop"

// Program is the server. It refuses to be root's.
var Program = daemon.Program{Name: "postgres", Package: "postgresql", User: "postgres"}

// Server is a PostgreSQL with a cluster of its own, made by initdb and run in
// the foreground as a child of this process. Debian's pg_ctlcluster would write
// to /etc, and leave a server behind that outlives a program that dies.
type Server struct {
	*daemon.Daemon

	Superuser, User *Credentials

	data string
}

// Start starts one, with settings such as "max_connections=25". It answers when
// Start returns.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	d := daemon.New(t, Program)
	s := &Server{
		Daemon: d, data: filepath.Join(d.Dir, "data"),
		Superuser: &Credentials{Name: "postgres", password: rand.Text()},
		User:      &Credentials{Name: "shop", password: rand.Text()},
	}
	d.Run("initdb", "--pgdata", s.data, "--username", s.Superuser.Name, "--pwfile", d.File("password", s.Superuser.password),
		"--auth-host", "scram-sha-256", "--auth-local", "reject", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	args := []string{"-D", s.data, "-p", strconv.Itoa(d.Port)}
	for _, setting := range append([]string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=", "log_min_messages=log",
		"fsync=off", // what is lost then is lost with the machine, not with the server
	}, settings...) {
		args = append(args, "-c", setting)
	}
	d.Start(args...)
	t.Cleanup(func() { d.Signal(syscall.SIGINT) }) // it ends without waiting for those connected
	s.Admin(t, "postgres",
		fmt.Sprintf("create role %s login password '%s'", s.User.Name, s.User.password),
		fmt.Sprintf("create database %s owner %s", Database, s.User.Name))
	return s
}

// Quit ends the server as pg_ctl does, in a mode of its: fast or immediate. It may
// be restarted.
func (s *Server) Quit(mode string) {
	s.Run("pg_ctl", "stop", "-D", s.data, "-m", mode)
	s.Stop()
}

// URL of the database for a user, at the server's address or one on the way to it.
func (s *Server) URL(user *url.Userinfo, address string) string {
	return urlOf(user, address, Database)
}

func urlOf(user *url.Userinfo, address, database string) string {
	u := url.URL{Scheme: "postgres", User: user, Host: address, Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Admin runs statements as the superuser.
func (s *Server) Admin(t testing.TB, database string, statements ...string) {
	t.Helper()
	conn := s.Connect(t, s.Superuser, database)
	for _, statement := range statements {
		if _, err := conn.Exec(context.WithoutCancel(t.Context()), statement); err != nil {
			t.Fatalf("PostgreSQL does not do what it is set up by: %v: %s", err, statement)
		}
	}
	_ = conn.Close(context.WithoutCancel(t.Context())) // all was answered
}

// Furnish runs statements as the owner of the database, who owns what they make.
func (s *Server) Furnish(t testing.TB, statements ...string) {
	t.Helper()
	s.Admin(t, Database, append([]string{"set role " + s.User.Name}, statements...)...)
}

// Terminate ends every session of the user.
func (s *Server) Terminate(t testing.TB) {
	t.Helper()
	s.Admin(t, "postgres", fmt.Sprintf("select pg_terminate_backend(pid) from pg_stat_activity where usename = '%s'", s.User.Name))
}

// Connect waits for a server that starts.
func (s *Server) Connect(t testing.TB, as *Credentials, database string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		conn, err := s.Dial(ctx, as, database)
		if err == nil {
			return conn
		}
		if !demo.Sleep(ctx, 20*time.Millisecond) {
			t.Fatalf("PostgreSQL does not let %s into the database %s: %v", as.Name, database, err)
		}
	}
}

// Dial tries it once.
func (s *Server) Dial(ctx context.Context, as *Credentials, database string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, urlOf(as.Userinfo(), s.Address(), database))
}
