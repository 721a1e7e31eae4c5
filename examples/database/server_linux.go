package main

import (
	"fmt"
	"net/url"
	"strconv"
	"testing"

	"github.com/magnetar-go/magnetar/examples/database/postgres"
	"github.com/magnetar-go/magnetar/examples/internal/postgresd"
)

const maxConnections = 25 // of the server; 3 of them are kept for superusers

// server is a PostgreSQL that has a few accounts.
type server struct{ *postgresd.Server }

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{postgresd.Start(t, "max_connections="+strconv.Itoa(maxConnections), "deadlock_timeout=20ms")}
	s.Furnish(t,
		"create table account (id int primary key, balance bigint not null)",
		// Without a unique key: a transaction that is done twice is to be seen.
		"create table booking (key text not null, account int not null)",
		postgres.Keys,
		fmt.Sprintf("insert into account select n, 0 from generate_series(0, %d) n", accounts-1))
	return s
}

// url is for the user at an address, without its password; Ask has that.
func (s *server) url(address string) string { return s.URL(url.User(s.User.Name), address) }
