package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func insert(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "insert into booking values (1)")
	return err
}

// cut ends the connection instead of an answer.
var cut = []pgproto3.BackendMessage{}

// first is an answer to a statement in the first session only.
func first(statement string, answer []pgproto3.BackendMessage) func(int, string) []pgproto3.BackendMessage {
	return func(session int, said string) []pgproto3.BackendMessage {
		if session == 1 && strings.HasPrefix(said, statement) {
			return answer
		}
		return nil
	}
}

func TestCommitIsRepeatedOnlyWhereItSurelyDidNotHappen(t *testing.T) {
	for name, c := range map[string]struct {
		answer []pgproto3.BackendMessage
		// What came of it.
		commits int
		unknown bool
		state   string // of the error
	}{
		"no answer":                              {answer: cut, commits: 1, unknown: true},
		"the session was ended":                  {answer: []pgproto3.BackendMessage{ended("57P01")}, commits: 1, unknown: true, state: "57P01"},
		"the session was ended after the commit": {answer: []pgproto3.BackendMessage{&pgproto3.CommandComplete{CommandTag: []byte("COMMIT")}, ended("57P01")}, commits: 1, unknown: true, state: "57P01"},
		"another backend crashed":                {answer: []pgproto3.BackendMessage{ended("57P02")}, commits: 1, unknown: true, state: "57P02"},
		"it says itself that it does not know":   {answer: failed("40003"), commits: 1, unknown: true, state: "40003"},
		"a proxy does not know":                  {answer: failed("08007"), commits: 1, unknown: true, state: "08007"},
		"serialization failure":                  {answer: append(failed("40001"), nil), commits: 2},
		"deferred constraint":                    {answer: failed("23505"), commits: 1, state: "23505"},
		"rolled back without a word":             {answer: answered("ROLLBACK", 'I'), commits: 1},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			s := script(t, func(_ int, said string) []pgproto3.BackendMessage {
				if said != "commit" {
					return nil
				}
				if asked++; asked > 1 {
					return nil
				}
				return c.answer
			})
			err := s.open(t, nil).Do(t.Context(), insert)
			require.Equal(t, c.commits, s.count("commit"))
			if c.commits > 1 {
				require.NoError(t, err)
				return
			}
			require.True(t, policy.IsPermanent(err), err)
			e, unknown := errors.AsType[*CommitUnknownError](err)
			require.Equal(t, c.unknown, unknown, err)
			if unknown {
				require.Equal(t, "4711", e.XID)
				require.ErrorContains(t, err, "transaction 4711 may have been committed or not")
			}
			if c.state != "" {
				p, ok := errors.AsType[*pgconn.PgError](err)
				require.True(t, ok, err)
				require.Equal(t, c.state, p.Code)
			}
		})
	}
}

func TestCommitOfUnknownFateIsRepeatedWithItsKey(t *testing.T) {
	for name, done := range map[string]bool{"it had happened": true, "it had not": false} {
		t.Run(name, func(t *testing.T) {
			s := script(t, func(session int, said string) []pgproto3.BackendMessage {
				switch {
				case session == 1 && said == "commit":
					return cut
				case session == 2 && done && strings.HasPrefix(said, "insert into idem"):
					return answered("INSERT 0 0", 'T')
				}
				return nil
			})
			runs := 0
			require.NoError(t, s.open(t, nil).DoOnce(t.Context(), "order 1", func(ctx context.Context, tx pgx.Tx) error {
				runs++
				return insert(ctx, tx)
			}))
			require.Equal(t, 2, s.count("commit"))
			require.Equal(t, map[bool]int{true: 1, false: 2}[done], runs)
		})
	}
}

func TestReadOnlyTransactionIsRepeatedWhateverBecameOfIt(t *testing.T) {
	for name, answer := range map[string][]pgproto3.BackendMessage{
		"no answer": cut, "the session was ended": {ended("57P01")}, "a proxy does not know": failed("08007"),
	} {
		t.Run(name, func(t *testing.T) {
			asked, runs := 0, 0
			s := script(t, func(_ int, said string) []pgproto3.BackendMessage {
				if said != "commit" {
					return nil
				}
				if asked++; asked > 1 {
					return nil
				}
				return answer
			})
			require.NoError(t, s.open(t, nil).DoTx(t.Context(), pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(context.Context, pgx.Tx) error {
				runs++
				return nil
			}))
			require.Equal(t, 2, runs)
		})
	}
}

func TestTransactionIsReadOnlyIfTheServerSaysSo(t *testing.T) {
	s := script(t, first("commit", cut))
	err := s.open(t, nil).DoTx(t.Context(), pgx.TxOptions{AccessMode: pgx.ReadOnly, BeginQuery: "begin"}, insert)
	e, unknown := errors.AsType[*CommitUnknownError](err)
	require.True(t, unknown, err)
	require.Equal(t, "4711", e.XID)
}

func TestWriteInAReadOnlyTransactionIsNotRepeated(t *testing.T) {
	s := script(t, func(_ int, said string) []pgproto3.BackendMessage {
		if strings.HasPrefix(said, "insert") {
			return failed("25006")
		}
		return nil
	})
	db := s.open(t, nil)
	err := db.DoTx(t.Context(), pgx.TxOptions{AccessMode: pgx.ReadOnly}, insert)
	require.True(t, policy.IsPermanent(err), err)
	require.Equal(t, 1, s.count("insert"))
	require.Zero(t, db.Stats().Closes(policy.ReasonDiscarded), "it does what it was asked for")
}

func TestRowsLeftOpenAreNoReasonToRepeat(t *testing.T) {
	s := script(t, func(int, string) []pgproto3.BackendMessage { return nil })
	db := s.open(t, nil)
	for name, f := range map[string]func(context.Context, pgx.Tx) error{
		"before the commit": func(ctx context.Context, tx pgx.Tx) error { return leaveOpen(ctx, tx) },
		"before another statement": func(ctx context.Context, tx pgx.Tx) error {
			if err := leaveOpen(ctx, tx); err != nil {
				return err
			}
			return insert(ctx, tx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			runs := 0
			err := db.Do(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				runs++
				return f(ctx, tx)
			})
			require.True(t, policy.IsPermanent(err), err)
			require.Equal(t, 1, runs)
			require.Zero(t, s.count("commit"))
		})
	}
}

var errSoldOut = errors.New("sold out")

func TestCallersOwnErrorIsNotRepeatedForBeingLate(t *testing.T) {
	s := script(t, func(int, string) []pgproto3.BackendMessage { return nil })
	db := s.open(t, func(cfg *Config) { cfg.Timeout = 100 * time.Millisecond })
	runs := 0
	err := db.Do(t.Context(), func(ctx context.Context, _ pgx.Tx) error {
		runs++
		<-ctx.Done()
		return errSoldOut
	})
	require.ErrorIs(t, err, errSoldOut)
	require.True(t, policy.IsPermanent(err), err)
	require.Equal(t, 1, runs)
	require.Equal(t, 1, s.count("rollback"))
	require.Zero(t, db.Stats().Closes(policy.ReasonDiscarded))
}

func TestCallersOwnErrorIsNotRepeatedForARollbackThatFails(t *testing.T) {
	s := script(t, first("rollback", cut))
	runs := 0
	err := s.open(t, nil).Do(t.Context(), func(context.Context, pgx.Tx) error {
		runs++
		return errSoldOut
	})
	require.ErrorIs(t, err, errSoldOut)
	require.True(t, policy.IsPermanent(err), err)
	require.Equal(t, 1, runs)
}

func TestStatementThatOutlastsItsTimeIsRepeated(t *testing.T) {
	for name, tell := range map[string]func(error) error{
		"its error":           func(err error) error { return err },
		"the caller's for it": func(error) error { return errSoldOut },
	} {
		t.Run(name, func(t *testing.T) {
			s := script(t, first("insert", silence))
			db := s.open(t, func(cfg *Config) { cfg.Timeout = 100 * time.Millisecond })
			require.NoError(t, db.Do(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				if err := insert(ctx, tx); err != nil {
					return tell(err)
				}
				return nil
			}))
			require.Equal(t, 2, s.count("insert"))
			require.Equal(t, 1, s.count("commit"))
		})
	}
}

func TestNothingIsLostBeforeTheCommit(t *testing.T) {
	for name, answer := range map[string]func(int, string) []pgproto3.BackendMessage{
		"no answer to BEGIN":       first("begin", cut),
		"ended while idle":         first("begin", []pgproto3.BackendMessage{ended("57P01")}),
		"no answer to INSERT":      first("insert into booking values (1)", cut),
		"deadlock":                 first("insert into booking values (1)", failed("40P01")),
		"lock not available":       first("insert into booking values (1)", failed("55P03")),
		"a standby since just now": first("insert into booking values (1)", failed("25006")),
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			s := script(t, func(_ int, said string) []pgproto3.BackendMessage {
				a := answer(1, said)
				if a == nil {
					return nil
				}
				if asked++; asked > 1 {
					return nil
				}
				return a
			})
			require.NoError(t, s.open(t, nil).Do(t.Context(), insert))
			require.Equal(t, 1, s.count("commit"))
			require.Equal(t, 2, s.count("begin"))
		})
	}
}

func TestStandbyIsLeftForThePrimary(t *testing.T) {
	s := script(t, first("insert into booking values (1)", failed("25006")))
	db := s.open(t, nil)
	require.NoError(t, db.Do(t.Context(), insert))
	require.EqualValues(t, 1, db.Stats().Closes(policy.ReasonDiscarded))
}

func TestCommitThatOutlastsItsTimeIsNotRepeated(t *testing.T) {
	s := script(t, first("commit", silence))
	db := s.open(t, func(cfg *Config) { cfg.Timeout = 100 * time.Millisecond })
	err := db.Do(t.Context(), insert)
	require.Equal(t, 1, s.count("commit"))
	_, unknown := errors.AsType[*CommitUnknownError](err)
	require.True(t, unknown, err)
	require.ErrorIs(t, err, policy.ErrTimeout)
}

func TestCommitThatItsCallerDoesNotWaitForIsOfUnknownFate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := script(t, func(_ int, said string) []pgproto3.BackendMessage {
		if said == "commit" {
			cancel()
			return silence
		}
		return nil
	})
	err := s.open(t, nil).Do(ctx, insert)
	require.ErrorIs(t, err, context.Canceled)
	_, unknown := errors.AsType[*CommitUnknownError](err)
	require.True(t, unknown, err)
}

func TestTransactionThatWasNeverAskedToCommitIsNotInDoubt(t *testing.T) {
	s := script(t, func(int, string) []pgproto3.BackendMessage { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	err := s.open(t, nil).Do(ctx, func(ctx context.Context, tx pgx.Tx) error {
		defer cancel()
		return insert(ctx, tx)
	})
	require.ErrorIs(t, err, context.Canceled)
	_, unknown := errors.AsType[*CommitUnknownError](err)
	require.False(t, unknown, err)
	require.Zero(t, s.count("commit"))
}

func TestReadIsRepeatedUntilItIsAnswered(t *testing.T) {
	for name, answer := range map[string][]pgproto3.BackendMessage{
		"no answer": cut, "ended": {ended("57P01")}, "crashed": {ended("57P02")}, "conflict": failed("40001"),
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			s := script(t, func(int, string) []pgproto3.BackendMessage {
				if asked++; asked > 2 {
					return nil
				}
				return answer
			})
			got, err := Get(t.Context(), s.open(t, nil), func(ctx context.Context, conn *pgx.Conn) (v string, err error) {
				err = conn.QueryRow(ctx, "select 1").Scan(&v)
				return v, err
			})
			require.NoError(t, err)
			require.Equal(t, "1", got)
			require.Equal(t, 3, s.count("select"))
		})
	}
}

func TestConnectionThatHangsInItsCheckIsLeftForAnother(t *testing.T) {
	s := script(t, first("-- ping", silence))
	db := s.open(t, func(cfg *Config) {
		cfg.Pool.CheckAfter, cfg.Pool.CheckTimeout = time.Microsecond, 50*time.Millisecond
	})
	for range 2 {
		require.NoError(t, db.Do(t.Context(), insert))
	}
	require.EqualValues(t, 1, db.Stats().Closes(policy.ReasonUnhealthy))
}

func TestTransactionLeftOpenByAReadDoesNotReachTheNext(t *testing.T) {
	s := script(t, func(int, string) []pgproto3.BackendMessage { return nil })
	db := s.open(t, nil)
	_, err := Get(t.Context(), db, func(ctx context.Context, conn *pgx.Conn) (int, error) {
		_, err := conn.Exec(ctx, "begin")
		return 0, err
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, db.Stats().Closes(policy.ReasonDiscarded))
}
