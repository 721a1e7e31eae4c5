package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/magnetar-go/magnetar/policy"
)

// Get runs read, which may run more than once: it must only read, and start
// anew each time.
func Get[T any](ctx context.Context, db *DB, read func(context.Context, *pgx.Conn) (T, error)) (T, error) {
	return policy.Get(ctx, func(ctx context.Context) (v T, err error) {
		err = db.with(ctx, func(ctx context.Context, conn *pgx.Conn) error {
			if v, err = read(ctx, conn); err != nil {
				return judge(ctx, conn, err)
			}
			return nil
		})
		return v, err
	}, db.policies...)
}

// Do runs f in a transaction of default isolation, see [DB.DoTx].
func (db *DB) Do(ctx context.Context, f func(context.Context, pgx.Tx) error) error {
	return db.DoTx(ctx, pgx.TxOptions{}, f)
}

// DoTx runs f in a transaction, and anew as long as it was surely not committed
// and the reason may pass. f must not commit, nor have effects elsewhere; for SET
// TRANSACTION it is too late, which is what opts are for. Its own errors roll back
// and are returned marked [policy.Permanent], unless f marks them
// [policy.Transient] or the connection was lost under it.
//
// A commit whose fate is unknown is not repeated: it is a [*CommitUnknownError]. Of
// a read-only transaction, by opts or as the session is, no fate is unknown: it is
// repeated like a read, and its error is that of the last try. A standby is left for
// another server, unless opts have pgx.ReadOnly.
func (db *DB) DoTx(ctx context.Context, opts pgx.TxOptions, f func(context.Context, pgx.Tx) error) error {
	return policy.Do(ctx, func(ctx context.Context) error { return db.transact(ctx, opts, f) }, db.policies...)
}

// Keys is the table that DoOnce needs. Keys may be deleted once nobody can come
// with them again.
const Keys = `create table if not exists idempotency_keys (key text primary key, at timestamptz not null default now())`

// DoOnce is Do for a key that belongs to the operation, such as an order's
// number: f is committed once for it, however often DoOnce is called. The key is
// a row that is committed with what f does. So a commit of unknown fate is
// repeated: the next try waits for the first, if that still runs on the server,
// and finds the key if it has happened. It then returns nil without running f.
//
// When it returns an error after all, call it again with the same key.
func (db *DB) DoOnce(ctx context.Context, key string, f func(context.Context, pgx.Tx) error) error {
	once := func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `insert into idempotency_keys (key) values ($1) on conflict do nothing`, key)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return f(ctx, tx)
	}
	return policy.Do(ctx, func(ctx context.Context) error {
		err := db.transact(ctx, pgx.TxOptions{}, once)
		if _, unknown := errors.AsType[*CommitUnknownError](err); unknown {
			return policy.Transient(err)
		}
		return err
	}, db.policies...)
}

// CommitUnknownError says that a transaction may have been committed or not: the
// connection or the time ended before COMMIT was answered. It is marked
// [policy.Permanent], so that no retry further out repeats it.
type CommitUnknownError struct {
	// XID of the transaction, for [DB.Fate].
	XID string
	Err error // why there was no answer
}

// Error names the transaction and why its fate is unknown.
func (e *CommitUnknownError) Error() string {
	return fmt.Sprintf("transaction %s may have been committed or not: %v", e.XID, e.Err)
}

// Unwrap returns why there was no answer.
func (e *CommitUnknownError) Unwrap() error { return e.Err }

// Fate is what the server knows of a transaction.
type Fate string

// The fates, as PostgreSQL calls them.
const (
	Committed  Fate = "committed"
	Aborted    Fate = "aborted"
	InProgress Fate = "in progress" // ask again: its session has not noticed yet that it is alone
	Forgotten  Fate = ""            // too long ago
)

// Fate asks the server, by pg_xact_status (txid_status before PostgreSQL 13),
// what became of a transaction. It may be wrong once the server has crashed or a
// standby was promoted: what it had not written down is forgotten, and the number
// of that transaction may be given to another. Where that matters use
// [DB.DoOnce].
func (db *DB) Fate(ctx context.Context, xid string) (Fate, error) {
	return Get(ctx, db, func(ctx context.Context, conn *pgx.Conn) (Fate, error) {
		var fate Fate
		err := conn.QueryRow(ctx, `select coalesce(pg_xact_status($1::text::xid8), '')`, xid).Scan(&fate)
		return fate, err
	})
}

// transact is one try.
func (db *DB) transact(ctx context.Context, opts pgx.TxOptions, f func(context.Context, pgx.Tx) error) error {
	return db.with(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		tx, xid, err := begin(ctx, conn, opts)
		if err == nil {
			err = f(ctx, tx)
		}
		switch {
		case err == nil:
			return commit(ctx, conn, tx, xid)
		case opts.AccessMode == pgx.ReadOnly && stateOf(err) == readOnly:
			err = policy.Permanent(err) // it was asked for
		default:
			err = judge(ctx, conn, err) // before rollback may close conn
		}
		rollback(ctx, tx)
		return err
	})
}

// number is that of a transaction, or "" where the transaction is read-only and,
// since this is its first query, stays so. A standby says 25006 if it may not be.
const number = `select case when current_setting('transaction_read_only')::bool and ($1 or not pg_is_in_recovery())
	then '' else pg_current_xact_id()::text end`

// begin asks for the number of the transaction in the same round trip: after the
// commit it is too late to ask.
func begin(ctx context.Context, conn *pgx.Conn, opts pgx.TxOptions) (tx pgx.Tx, xid string, err error) {
	var b pgx.Batch
	b.BeginTx(opts)
	b.Queue(number, opts.AccessMode == pgx.ReadOnly).QueryRow(func(row pgx.Row) error { return row.Scan(&xid) })
	results := conn.SendBatch(ctx, &b)
	err = results.Close()
	return results.Tx(), xid, err
}

// rollback leaves the connection fit for others, or closed. Without it the server
// would roll back as well, when it notices that the connection ended.
func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = tx.Rollback(ctx) // a connection that fails to is closed by pgx
}

func commit(ctx context.Context, conn *pgx.Conn, tx pgx.Tx, xid string) error {
	if conn.PgConn().IsBusy() { // f left rows open, and would again
		return policy.Permanent(errUnfinished)
	}
	err := tx.Commit(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrTxCommitRollback), errors.Is(err, pgx.ErrTxClosed):
		return policy.Permanent(err) // f took no notice of an error, or ended the transaction itself
	case xid == "", pgconn.SafeToRetry(err), rolledBack(err):
		return judge(ctx, conn, err)
	}
	return policy.Permanent(&CommitUnknownError{XID: xid, Err: err})
}

// rolledBack reports whether err is the server's word that COMMIT failed, as by
// a serialization failure or a deferred constraint. FATAL is no such word: the
// session was ended, before the commit or just after it.
func rolledBack(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.SeverityUnlocalized == "ERROR" && e.Code != statementUnknown && e.Code != commitUnknown
}
