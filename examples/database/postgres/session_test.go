package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func ask(ctx context.Context, conn *pgx.Conn) (v string, err error) {
	err = conn.QueryRow(ctx, "select 1").Scan(&v)
	return v, err
}

func leaveOpen(ctx context.Context, by interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}) error {
	_, err := by.Query(ctx, "select 1") //nolint:sqlclosecheck // as who forgets it does
	return err
}

func TestRowsLeftOpenDoNotReachTheNext(t *testing.T) {
	s := script(t, func(int, string) []pgproto3.BackendMessage { return nil })
	db := s.open(t, nil)
	leave := func(ctx context.Context, conn *pgx.Conn) (int, error) {
		return 0, leaveOpen(ctx, conn)
	}
	_, err := Get(t.Context(), db, leave)
	require.NoError(t, err)
	require.NoError(t, db.Do(t.Context(), insert))
	require.Equal(t, 1, s.count("begin"))

	_, err = Get(t.Context(), db, leave)
	require.NoError(t, err)
	_, err = Get(t.Context(), db, ask)
	require.NoError(t, err)
	require.Equal(t, 3, s.count("select"))
	require.EqualValues(t, 2, db.Stats().Closes(policy.ReasonDiscarded))
}

// over has ended already.
func over() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestCloseWhoseTimeIsUpEndsTheStatement(t *testing.T) {
	for statement, check := range map[string]func(error){
		"insert": func(err error) { require.ErrorIs(t, err, policy.ErrClosed) },
		"commit": func(err error) {
			_, unknown := errors.AsType[*CommitUnknownError](err)
			require.True(t, unknown, err)
		},
	} {
		t.Run(statement, func(t *testing.T) {
			hangs := make(chan struct{})
			s := script(t, func(_ int, said string) []pgproto3.BackendMessage {
				if !strings.HasPrefix(said, statement) {
					return nil
				}
				close(hangs)
				return silence
			})
			db := s.open(t, func(cfg *Config) { cfg.Timeout = time.Hour })
			done := make(chan error, 1)
			go func() { done <- db.Do(context.Background(), insert) }()
			<-hangs
			require.ErrorIs(t, db.Close(over()), context.Canceled)
			select {
			case err := <-done:
				check(err)
			case <-time.After(10 * time.Second):
				t.Fatal("it goes on")
			}
			require.NoError(t, db.Close(t.Context()))
		})
	}
}

func TestNothingIsCommittedOnceCloseHasHungUp(t *testing.T) {
	s := script(t, func(int, string) []pgproto3.BackendMessage { return nil })
	db := s.open(t, nil)
	runs := 0
	err := db.Do(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		runs++
		err := insert(ctx, tx)
		require.ErrorIs(t, db.Close(over()), context.Canceled)
		select {
		case <-s.left:
		case <-time.After(10 * time.Second): // the time of a try
			t.Error("the server still has the connection")
		}
		return err
	})
	require.ErrorIs(t, err, policy.ErrClosed)
	require.Equal(t, 1, runs)
	require.Zero(t, s.count("commit"))
	require.NoError(t, db.Close(t.Context()), "nothing is left")
}
