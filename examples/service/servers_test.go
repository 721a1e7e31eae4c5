//go:build linux

package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
	"github.com/magnetar-go/magnetar/examples/internal/postgresd"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	goleak.VerifyTestMain(lasting{m})
}

// lasting are tests that share a server, which ends with the last of them.
type lasting struct{ m *testing.M }

// all is what the server belongs to.
var all testing.TB

func (l lasting) Run() (code int) {
	err := daemon.Alone(context.Background(), func(t testing.TB) {
		all = t
		code = l.m.Run()
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

var onlyPostgreSQL = sync.OnceValue(func() *postgresd.Server { return startPostgreSQL(all) })

// postgreSQL is one for all tests. A test leaves it running, with its products.
func postgreSQL(t *testing.T) *postgresd.Server {
	t.Helper()
	postgresd.Program.Find(t) // or the test is skipped
	s := onlyPostgreSQL()
	require.NotNil(t, s, "it failed to start before")
	return s
}

// urlOf is the server's, with the password.
func urlOf(s *postgresd.Server) string { return s.URL(s.User.Userinfo(), s.Address()) }

// urlFor is that of somebody else, or of another database.
func urlFor(s *postgresd.Server, user, password, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: s.Address(), Path: database, RawQuery: "sslmode=disable",
	}
	return u.String()
}
