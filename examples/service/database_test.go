//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/postgresd"
	"github.com/magnetar-go/magnetar/policy"
)

// many has the limits of the shop be no matter.
func many(cfg *Config) {
	cfg.Inbound.RateLimit = nil
	cfg.Inbound.Shed = policy.ConcurrencyConfig{Limit: 64}
}

func TestSessionsThatAreTerminatedLoseNoRequest(t *testing.T) {
	b := begin(t, many)
	s := postgreSQL(t)
	b.survive(t, "every session terminated", (*load).look, func(*load) {
		for range 8 {
			s.Terminate(t)
		}
	})
	require.Positive(t, b.database.Stats().Closes(policy.ReasonUnhealthy)+b.database.Stats().Closes(policy.ReasonDiscarded))
}

func TestDatabaseThatIsRestartedLosesNoRequest(t *testing.T) {
	b := begin(t, many)
	s := postgreSQL(t)
	for _, mode := range []string{"fast", "immediate"} {
		b.survive(t, "database restarted, "+mode, (*load).look, func(*load) {
			s.Quit(mode)
			failed := b.database.Stats().CreateFailures
			require.Eventually(t, func() bool { return b.database.Stats().CreateFailures > failed }, patience, time.Millisecond)
			s.Restart()
		})
	}
}

func TestNoOrderIsPlacedTwiceWhenItsCommitIsCut(t *testing.T) {
	s := postgreSQL(t)
	s.Admin(t, postgresd.Database, "truncate purchase, idempotency_keys")
	c, err := postgresd.NewCutter(t.Context(), s.Address(), 5)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	b := begin(t, func(cfg *Config) {
		many(cfg)
		cfg.Database.URL = s.URL(s.User.Userinfo(), c.Address())
	})
	var n atomic.Int64
	l := b.survive(t, "connection cut during COMMIT", func(l *load) {
		key := ""
		if n.Add(1)%2 == 0 {
			key = rand.Text()
		}
		l.buy(key)
	}, func(l *load) { require.Eventually(t, l.doubtful, patience, time.Millisecond) })

	conn := s.Connect(t, s.Superuser, postgresd.Database)
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), `select id from purchase`)
	require.NoError(t, err)
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	happened := 0
	for _, id := range there {
		_, told := l.placed[id]
		if _, perhaps := l.unknown[id]; perhaps {
			told = true
			happened++
			require.Equal(t, http.StatusOK, b.get(t, b.url+"/orders/"+id).status)
		}
		require.True(t, told, "%s is there, and nobody knows of it", id)
	}
	require.Len(t, there, len(l.placed)+happened, "each is there that was told to be")
	require.Positive(t, happened)
	require.Greater(t, len(l.unknown), happened, "and some were not placed")
}

func TestOrderIsPlacedOnceForItsKey(t *testing.T) {
	b := begin(t, nil)
	key := rand.Text()
	for range 2 {
		r := b.buy(t, "42", key)
		require.Equal(t, http.StatusCreated, r.status, r.body)
		require.Equal(t, "/orders/key-"+key, r.header.Get("Location"))
		require.JSONEq(t, `{"id":"key-`+key+`","product":"42"}`, r.body)
	}
	require.Equal(t, http.StatusUnprocessableEntity, b.buy(t, "43", key).status)
	r := b.get(t, b.url+"/orders/key-"+key)
	require.Equal(t, http.StatusOK, r.status)
	require.JSONEq(t, `{"id":"key-`+key+`","product":"42"}`, r.body)

	for _, product := range []string{"4242", "99999999999999999999"} {
		for _, key := range []string{"", rand.Text()} {
			r := b.buy(t, product, key)
			require.Equal(t, http.StatusNotFound, r.status, r.body)
			require.Empty(t, r.header.Get("Location"))
		}
	}
	for _, key := range []string{"ünusual", "a b", `"quoted"`, "--'; drop table purchase", strings.Repeat("k", 65)} {
		require.Equal(t, http.StatusBadRequest, b.buy(t, "42", key).status, key)
	}
}

func TestOrdersIdIsNobodysKey(t *testing.T) {
	b := begin(t, nil)
	first := strings.TrimPrefix(b.buy(t, "42", "").header.Get("Location"), "/orders/")
	r := b.buy(t, "43", first)
	require.Equal(t, http.StatusCreated, r.status, r.body)
	require.JSONEq(t, `{"id":"`+first+`","product":"42"}`, b.get(t, b.url+"/orders/"+first).body)
}

// Whoever has no key is told so before the time is up: a 504 looks like something to
// be repeated.
func TestCommitThatOutlastsTheRequestIsToldToBeUnknown(t *testing.T) {
	s := postgreSQL(t)
	s.Admin(t, postgresd.Database,
		`create function sleep() returns trigger language plpgsql as $$ begin perform pg_sleep(3); return null; end $$`,
		`create constraint trigger sleeper after insert on purchase deferrable initially deferred for each row execute function sleep()`)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		conn, err := s.Dial(ctx, s.Superuser, postgresd.Database)
		require.NoError(t, err)
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, `drop function sleep cascade`)
		require.NoError(t, err)
	})
	b := begin(t, func(cfg *Config) { cfg.Inbound.Deadline.Max = 2 * time.Second })
	r := b.buy(t, "42", "")
	require.Equal(t, http.StatusConflict, r.status, r.body)
	require.Contains(t, b.log.String(), "may have been committed or not")
	require.NotEmpty(t, r.header.Get("Location"))
}

func TestWrongCredentialsAreLoggedAndNotRepeated(t *testing.T) {
	s := postgreSQL(t)
	password := rand.Text()
	for name, c := range map[string]struct{ url, state string }{
		"wrong password": {urlFor(s, s.User.Name, password, postgresd.Database), "28P01"},
		"unknown user":   {urlFor(s, "nobody", password, postgresd.Database), "28P01"},
	} {
		t.Run(name, func(t *testing.T) { requireTurnedAway(t, c.url, c.state, password) })
	}
	t.Run("wrong database", func(t *testing.T) {
		right, err := s.User.Ask(t.Context())
		require.NoError(t, err)
		requireTurnedAway(t, urlFor(s, s.User.Name, right, "shopp"), "3D000", right)
	})
}

func requireTurnedAway(t *testing.T, url, state, secret string) {
	t.Helper()
	b := begin(t, func(cfg *Config) { cfg.Database.URL = url })
	requireTriedLater(t, b.product(t, "42"))
	requireTriedLater(t, b.buy(t, "42", ""))
	b.requireWell(t)
	require.Contains(t, b.log.String(), state)
	b.requireUntold(t, secret)
}

func TestDatabaseWithoutItsTablesIsToldToTheLog(t *testing.T) {
	s := postgreSQL(t)
	right, err := s.User.Ask(t.Context())
	require.NoError(t, err)
	b := begin(t, func(cfg *Config) { cfg.Database.URL = urlFor(s, s.User.Name, right, "postgres") })
	r := b.product(t, "42")
	require.Equal(t, http.StatusBadGateway, r.status)
	require.Equal(t, "something behind this service is broken\n", r.body)
	require.Contains(t, b.log.String(), "42P01")
	b.requireUntold(t, right)
}

func TestServiceStartsBeforeItsDatabase(t *testing.T) {
	s := postgreSQL(t)
	s.Quit("fast")
	up := sync.OnceFunc(s.Restart)
	t.Cleanup(up)
	b := begin(t, func(cfg *Config) {
		many(cfg)
		cfg.Database.Pool.AcquireTimeout = 100 * time.Millisecond
	})
	requireTriedLater(t, b.product(t, "42"))
	b.requireWell(t)
	up()
	require.Eventually(t, func() bool { return b.product(t, "42").status == http.StatusOK }, patience, time.Millisecond)
}

func TestDatabaseThatNeverAnswersIsBounded(t *testing.T) {
	url := "postgres://shop:secret@" + mute(t) + "/shop?sslmode=disable"
	b := begin(t, func(cfg *Config) {
		cfg.Database.URL = url
		cfg.Database.Pool.AcquireTimeout = 100 * time.Millisecond
		cfg.StopWithin = patience // connections that are being made end by create_timeout
	})
	requireTriedLater(t, b.product(t, "42"))
	b.requireWell(t)
	b.requireUntold(t, "secret")

	b = begin(t, func(cfg *Config) {
		cfg.Database.URL = url
		cfg.Inbound.Deadline.Max = 100 * time.Millisecond
	})
	began := time.Now()
	require.Equal(t, http.StatusGatewayTimeout, b.product(t, "42").status)
	require.Less(t, time.Since(began), 5*time.Second)
}

func TestExpiredContextCostsNoConnection(t *testing.T) {
	b := begin(t, nil)
	require.Equal(t, http.StatusOK, b.product(t, "42").status)
	before := b.database.Stats().Acquires
	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err := b.database.name(expired, "42")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = b.database.purchase(expired, "", "42")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, before, b.database.Stats().Acquires)
}

func TestCommitOfUnknownFateIsTold(t *testing.T) {
	s := postgreSQL(t)
	c, err := postgresd.NewCutter(t.Context(), s.Address(), 1) // each is cut off
	require.NoError(t, err)
	t.Cleanup(c.Close)
	b := begin(t, func(cfg *Config) {
		cfg.Database.URL = s.URL(s.User.Userinfo(), c.Address())
		cfg.Database.Retry = policy.RetryConfig{MaxRetries: 1, InitialBackoff: time.Millisecond}
	})
	r := b.buy(t, "42", "")
	require.Equal(t, http.StatusConflict, r.status)
	require.Contains(t, r.body, "it may have been ordered or not")
	require.Regexp(t, `^/orders/\w+$`, r.header.Get("Location"))
	require.Empty(t, r.header.Get("Retry-After"))
	require.Zero(t, b.repeated.Load())

	// Most that are repeated meet another cut, but may find that it is done.
	for n := range 50 {
		r = b.buy(t, "42", "unknown-"+strconv.Itoa(n))
		if r.status != http.StatusCreated {
			requireTriedLater(t, r)
			return
		}
	}
	t.Fatal("each was placed")
}

// mute is where somebody accepts and never answers.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var conns []net.Conn
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
		}
	})
	t.Cleanup(func() {
		l.Close()
		accepting.Wait()
		for _, conn := range conns {
			conn.Close()
		}
	})
	return l.Addr().String()
}
