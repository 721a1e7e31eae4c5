//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/database/postgres"
	"github.com/magnetar-go/magnetar/examples/internal/daemon"
	"github.com/magnetar-go/magnetar/examples/internal/postgresd"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

// open is a DB of the server's user, gone with the test.
func (s *server) open(t *testing.T, opts ...postgres.Option) *postgres.DB {
	t.Helper()
	return open(t, postgres.Default(s.url(s.Address())), append([]postgres.Option{postgres.WithPassword(s.User.Ask)}, opts...)...)
}

func open(t *testing.T, cfg postgres.Config, opts ...postgres.Option) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(cfg, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { hangUp(t, db) })
	return db
}

func one(ctx context.Context, conn *pgx.Conn) (n int, err error) {
	err = conn.QueryRow(ctx, `select 1`).Scan(&n)
	return n, err
}

// atOnce is far below what waiting for a connection would take.
const atOnce = 5 * time.Second

func TestWhatTheServerWouldSayAgainIsSaidAtOnce(t *testing.T) {
	s := newServer(t)
	s.Admin(t, "postgres", "create role locked_out login password 'x'", "create database closed", "revoke connect on database closed from public")
	right, err := s.User.Ask(t.Context())
	require.NoError(t, err)
	for name, c := range map[string]struct{ user, password, database, state string }{
		"wrong password": {"shop", "guess", postgresd.Database, "28P01"},
		"unknown user":   {"nobody", "guess", postgresd.Database, "28P01"},
		"no database":    {"shop", right, "shopp", "3D000"},
		"not admitted":   {"locked_out", "x", "closed", "42501"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := postgres.Default(fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", c.user, c.password, s.Address(), c.database))
			cfg.Pool.AcquireTimeout = time.Minute
			db := open(t, cfg)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			_, err := postgres.Get(ctx, db, one)
			require.NoError(t, ctx.Err(), "it waited")
			requireState(t, c.state, err)
			require.ErrorIs(t, err, policy.ErrConnectionCreation)
			require.True(t, policy.IsPermanent(err))
			require.ErrorContains(t, err, c.state)
			require.ErrorContains(t, err, c.database)
			require.NotContains(t, err.Error(), "guess", "the password")
		})
	}
}

func TestServerThatIsWell(t *testing.T) {
	s := newServer(t)
	for name, test := range map[string]func(*testing.T, *server){
		"expired context costs no connection":                         expiredContext,
		"hung query is cancelled and its connection discarded":        hungQuery,
		"connection that ended while idle is found by the check":      endedWhileIdle,
		"close whose time is up ends what runs":                       closedUnderItsUser,
		"panic leaves no transaction behind":                          panicked,
		"caller's own error rolls back and is not repeated":           callersOwnError,
		"password that rotates while one connects is asked for again": rotatesMeanwhile,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

func expiredContext(t *testing.T, s *server) {
	t.Helper()
	db := s.open(t)
	_, err := postgres.Get(t.Context(), db, one)
	require.NoError(t, err)
	before := db.Stats().Acquires
	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = postgres.Get(expired, db, one)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, db.Do(expired, book("late", 1)), context.DeadlineExceeded)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, db.DoOnce(cancelled, "late", book("late", 1)), context.Canceled)
	require.Equal(t, before, db.Stats().Acquires)
}

func TestServerThatNeverAnswersIsBounded(t *testing.T) {
	l := listen(t)
	cfg := postgres.Default("postgres://shop:secret@" + l.Addr().String() + "/shop?sslmode=disable")
	cfg.Pool.CreateTimeout, cfg.Pool.AcquireTimeout = 50*time.Millisecond, 300*time.Millisecond
	db := open(t, cfg)
	_, err := postgres.Get(t.Context(), db, one)
	require.ErrorIs(t, err, policy.ErrPoolExhausted)
	require.ErrorIs(t, err, policy.ErrConnectionCreation)
	require.ErrorIs(t, err, policy.ErrTimeout)
	require.NotContains(t, err.Error(), "secret")
	var exhausted *pool.ExhaustedError
	require.ErrorAs(t, err, &exhausted)
	require.Less(t, exhausted.Waited, atOnce)
}

func hungQuery(t *testing.T, s *server) {
	t.Helper()
	hang := func(ctx context.Context, conn *pgx.Conn) (int, error) {
		_, err := conn.Exec(ctx, `select pg_sleep(600)`)
		return 0, err
	}
	t.Run("by its caller", func(t *testing.T) {
		db := s.open(t)
		_, err := postgres.Get(t.Context(), db, one) // so that there is a connection
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err = postgres.Get(ctx, db, hang)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualValues(t, 1, db.Stats().Closes(policy.ReasonDiscarded))
		n, err := postgres.Get(t.Context(), db, one)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
	t.Run("by the time of a try", func(t *testing.T) {
		cfg := postgres.Default(s.url(s.Address()))
		cfg.Timeout, cfg.Retry.MaxRetries = 50*time.Millisecond, 2
		db := open(t, cfg, postgres.WithPassword(s.User.Ask))
		_, err := postgres.Get(t.Context(), db, hang)
		require.ErrorIs(t, err, policy.ErrTimeout)
		require.ErrorIs(t, err, policy.ErrMaxRetriesExceeded)
		require.EqualValues(t, 3, db.Stats().Closes(policy.ReasonDiscarded))
	})
	waitForSleepers(t, s, 0)
}

// waitForSleepers waits until the server runs so many statements that sleep.
func waitForSleepers(t *testing.T, s *server, want int) {
	t.Helper()
	admin := s.Connect(t, s.Superuser, "postgres")
	defer admin.Close(context.WithoutCancel(t.Context()))
	require.Eventually(t, func() bool {
		var n int
		require.NoError(t, admin.QueryRow(t.Context(), `select count(*) from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()`).Scan(&n))
		return n == want
	}, 20*time.Second, 20*time.Millisecond, "the server runs more or less than somebody waits for")
}

func closedUnderItsUser(t *testing.T, s *server) {
	t.Helper()
	cfg := postgres.Default(s.url(s.Address()))
	cfg.Timeout = time.Hour
	db := open(t, cfg, postgres.WithPassword(s.User.Ask))
	done := make(chan error, 1)
	go func() {
		done <- db.Do(context.Background(), func(ctx context.Context, tx pgx.Tx) error {
			if err := book("closed", 1)(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `select pg_sleep(600)`)
			return err
		})
	}()
	waitForSleepers(t, s, 1)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, db.Close(over), context.Canceled)
	select {
	case err := <-done:
		require.ErrorIs(t, err, policy.ErrClosed)
	case <-time.After(atOnce):
		t.Fatal("it goes on")
	}
	require.NoError(t, db.Close(t.Context()))
	waitForSleepers(t, s, 0)
	counts, err := postgres.Get(t.Context(), s.open(t), bookings)
	require.NoError(t, err)
	require.NotContains(t, counts, "closed")
}

func endedWhileIdle(t *testing.T, s *server) {
	t.Helper()
	cfg := postgres.Default(s.url(s.Address()))
	cfg.Pool.MaxSize, cfg.Pool.CheckAfter = 1, time.Microsecond // each is checked
	var repeats atomic.Int64
	db := open(t, cfg, postgres.WithPassword(s.User.Ask), postgres.WithObserver(policy.ObserverFunc(func(_ context.Context, d policy.Decision) {
		if d.Policy == policy.PolicyRetry {
			repeats.Add(1)
		}
	})))
	require.NoError(t, db.Do(t.Context(), book("before", 1)))
	s.Terminate(t)
	require.NoError(t, db.Do(t.Context(), book("after", 1)))
	require.EqualValues(t, 1, db.Stats().Closes(policy.ReasonUnhealthy))
	require.Zero(t, repeats.Load(), "the check saw it first")
}

func panicked(t *testing.T, s *server) {
	t.Helper()
	cfg := postgres.Default(s.url(s.Address()))
	cfg.Pool.MaxSize = 1
	db := open(t, cfg, postgres.WithPassword(s.User.Ask))
	require.PanicsWithValue(t, "of its own", func() {
		_ = db.Do(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			require.NoError(t, book("panicked", 1)(ctx, tx))
			panic("of its own")
		})
	})
	counts, err := postgres.Get(t.Context(), db, bookings)
	require.NoError(t, err)
	require.NotContains(t, counts, "panicked")
	require.EqualValues(t, 1, db.Stats().Closes(policy.ReasonDiscarded))
}

func callersOwnError(t *testing.T, s *server) {
	t.Helper()
	db := s.open(t)
	insufficient := errors.New("insufficient funds")
	tries := 0
	err := db.Do(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		tries++
		require.NoError(t, book("refused", 1)(ctx, tx))
		return insufficient
	})
	require.ErrorIs(t, err, insufficient)
	require.Equal(t, 1, tries)
	counts, err := postgres.Get(t.Context(), db, bookings)
	require.NoError(t, err)
	require.NotContains(t, counts, "refused")
	require.Zero(t, db.Stats().Closes(policy.ReasonDiscarded), "the connection is as good as before")
}

func rotatesMeanwhile(t *testing.T, s *server) {
	t.Helper()
	right, err := s.User.Ask(t.Context())
	require.NoError(t, err)
	var asked atomic.Int64
	db := s.open(t, postgres.WithPassword(func(context.Context) (string, error) {
		if asked.Add(1) == 1 {
			return "of yesterday", nil
		}
		return right, nil
	}))
	_, err = postgres.Get(t.Context(), db, one)
	require.NoError(t, err)
	require.Zero(t, db.Stats().CreateFailures)
}

func TestServerKnowsTheFateOfACommit(t *testing.T) {
	s := newServer(t)
	c, err := postgresd.NewCutter(t.Context(), s.Address(), 1) // each is cut off
	require.NoError(t, err)
	defer c.Close()
	db, through := s.open(t), open(t, postgres.Default(s.url(c.Address())), postgres.WithPassword(s.User.Ask))
	for n := range 10 {
		key := fmt.Sprint("order ", n)
		unknown, ok := errors.AsType[*postgres.CommitUnknownError](through.Do(t.Context(), book(key, 1)))
		require.True(t, ok)
		var fate postgres.Fate
		require.Eventually(t, func() bool {
			fate, err = db.Fate(t.Context(), unknown.XID)
			return err != nil || fate != postgres.InProgress
		}, 20*time.Second, 5*time.Millisecond)
		require.NoError(t, err)
		counts, err := postgres.Get(t.Context(), db, bookings)
		require.NoError(t, err)
		require.Equal(t, map[int]postgres.Fate{0: postgres.Aborted, 1: postgres.Committed}[counts[key]], fate)
	}
	_, err = db.Fate(t.Context(), "18446744073709551615")
	requireState(t, "22023", err) // in the future
}

func TestLongOutageIsRefusedAtOnceAndEndsByItself(t *testing.T) {
	s := newServer(t)
	cfg := postgres.Default(s.url(s.Address()))
	cfg.Pool.AcquireTimeout = 200 * time.Millisecond
	cfg.Breaker = policy.CircuitBreakerConfig{FailureThreshold: 3, SuccessThreshold: 1, Cooldown: 100 * time.Millisecond, MaxCooldown: 100 * time.Millisecond}
	cfg.Dial = cfg.Breaker
	db := open(t, cfg, postgres.WithPassword(s.User.Ask))
	get := func() error {
		_, err := postgres.Get(t.Context(), db, one)
		return err
	}
	answered := func() bool { return get() == nil }
	require.Eventually(t, answered, 30*time.Second, time.Millisecond)
	s.Quit("fast")
	require.Eventually(t, func() bool { return errors.Is(get(), policy.ErrCircuitOpen) }, 30*time.Second, time.Millisecond)
	s.Restart()
	require.Eventually(t, answered, 30*time.Second, 5*time.Millisecond)
}

// Many pools are those of many replicas, or tenants, of one server.
func TestBreakerKeepsADeadServerFromBeingDialledInAStorm(t *testing.T) {
	const pools, threshold = 16, 5
	dials := func(shared policy.Gate) int64 {
		var n atomic.Int64
		counting := policy.ObserverFunc(func(_ context.Context, d policy.Decision) {
			if d.Policy == policy.PolicyPool && d.Action == policy.ActionCreate && !errors.Is(d.Err, policy.ErrCircuitOpen) {
				n.Add(1)
			}
		})
		errs := make(chan error, pools)
		for range pools {
			cfg := postgres.Default(fmt.Sprintf("postgres://shop:secret@127.0.0.1:%d/shop?sslmode=disable", daemon.FreePort(t)))
			cfg.Pool.AcquireTimeout, cfg.Pool.MinIdle = 2*time.Second, -1
			db := open(t, cfg, postgres.WithGate(shared), postgres.WithObserver(counting))
			go func() {
				_, err := postgres.Get(t.Context(), db, one)
				errs <- err
			}()
		}
		for range pools {
			require.ErrorIs(t, <-errs, policy.ErrPoolExhausted)
		}
		return n.Load()
	}
	with := dials(policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: threshold, Cooldown: time.Minute}))
	require.GreaterOrEqual(t, with, int64(threshold))
	require.LessOrEqual(t, with, int64(threshold+pools), "those that had begun when it opened, and no more")
	without := dials(policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 1 << 20}))
	t.Logf("%d dials of %d pools in 2s, %d with a breaker", without, pools, with)
	require.Greater(t, without, with)
}

func requireState(t *testing.T, state string, err error) {
	t.Helper()
	var e *pgconn.PgError
	require.ErrorAs(t, err, &e)
	require.Equal(t, state, e.Code)
}

// listen accepts and says nothing.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
		for _, conn := range conns {
			conn.Close()
		}
	})
	return l
}
