//go:build linux

package main

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/database/postgres"
	"github.com/magnetar-go/magnetar/policy"
)

var readOnly = pgx.TxOptions{AccessMode: pgx.ReadOnly}

// numbered reports whether a transaction that only reads has a number of its own.
func numbered(t *testing.T, db *postgres.DB, opts pgx.TxOptions) (is bool) {
	t.Helper()
	require.NoError(t, db.DoTx(t.Context(), opts, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select pg_current_xact_id_if_assigned() is not null`).Scan(&is)
	}))
	return is
}

func TestTransactionThatIsReadOnlyTakesNoNumber(t *testing.T) {
	s := newServer(t)
	db := s.open(t)
	require.True(t, numbered(t, db, pgx.TxOptions{}))
	require.False(t, numbered(t, db, readOnly))
	require.True(t, numbered(t, db, pgx.TxOptions{AccessMode: pgx.ReadOnly, BeginQuery: "begin"}), "it is not")

	session := open(t, postgres.Default(s.url(s.Address())+"&default_transaction_read_only=on"), postgres.WithPassword(s.User.Ask))
	require.False(t, numbered(t, session, pgx.TxOptions{}))
	require.True(t, numbered(t, session, pgx.TxOptions{AccessMode: pgx.ReadWrite}))
	require.NoError(t, session.DoTx(t.Context(), pgx.TxOptions{AccessMode: pgx.ReadWrite}, book("read write", 1)))

	for name, c := range map[string]struct {
		db   *postgres.DB
		opts pgx.TxOptions
	}{"by its options": {db, readOnly}, "by its session": {session, pgx.TxOptions{}}} {
		err := c.db.DoTx(t.Context(), c.opts, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `set transaction read write`)
			return err
		})
		requireState(t, "25001", err)
		require.True(t, policy.IsPermanent(err), name)
	}
}

func TestStandbyIsForReadOnlyTransactions(t *testing.T) {
	s := newServer(t)
	s.Quit("fast")
	s.File("data/standby.signal", "")
	s.Restart()
	cfg := postgres.Default(s.url(s.Address()))
	cfg.Retry.MaxRetries = 2
	db := open(t, cfg, postgres.WithPassword(s.User.Ask))
	var recovers bool
	require.NoError(t, db.DoTx(t.Context(), readOnly, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select pg_is_in_recovery()`).Scan(&recovers)
	}))
	require.True(t, recovers)
	require.Zero(t, db.Stats().Closes(policy.ReasonDiscarded))

	runs := 0
	err := db.Do(t.Context(), func(context.Context, pgx.Tx) error {
		runs++
		return nil
	})
	requireState(t, "25006", err)
	require.ErrorIs(t, err, policy.ErrMaxRetriesExceeded)
	require.Zero(t, runs, "what it would read may be old")
	require.EqualValues(t, 3, db.Stats().Closes(policy.ReasonDiscarded), "the next may be to the primary")
}
