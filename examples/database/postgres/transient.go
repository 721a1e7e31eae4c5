package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/magnetar-go/magnetar/policy"
)

// verdict is what an SQLSTATE says about the next try.
type verdict uint8

const (
	// wrong: the statement, the credentials or the rows are, and stay so.
	wrong verdict = iota
	// passing: the next try may well go otherwise.
	passing
	// sickly: the server is in trouble that a repetition adds to. The breaker
	// counts it.
	sickly
)

const (
	invalidPassword  = "28P01"
	readOnly         = "25006"
	commitUnknown    = "08007"
	statementUnknown = "40003"
)

// verdicts by SQLSTATE or by class, its first two characters; what is not named
// is wrong (https://www.postgresql.org/docs/current/errcodes-appendix.html).
var verdicts = map[string]verdict{
	"08":     passing, // the connection: another may live
	"08P01":  wrong,   // what was said over it; PgBouncer says so of everything
	readOnly: passing, // a primary that became a standby; the connection is left for one to the new primary

	"40001": passing, // serialization: the others have finished by then
	"40P01": passing, // deadlock: likewise
	"40000": passing, // rolled back for no reason that is told
	// Of a read that is no question; a commit looks at these two first.
	statementUnknown: passing,

	"53":    sickly,  // out of resources
	"53100": sickly,  // the disk: nobody frees it within seconds
	"53200": sickly,  // memory
	"53300": passing, // connections: others end, and the pool waits in between
	"53400": wrong,   // a limit that was configured, such as temp_file_limit, met again the same way

	"55P03": passing, // a lock, by NOWAIT or lock_timeout: it is held for a while

	"57P01": passing, // administrator's shutdown or pg_terminate_backend
	"57P02": passing, // another backend crashed
	"57P03": passing, // starts up, shuts down or recovers
	"57P05": passing, // idle_session_timeout: the connection's fault, not the call's
	// 57014, query_canceled, is wrong: somebody wanted it to end, be it by
	// statement_timeout, and the next try would take as long. 57P04: the
	// database was dropped.

	"58": sickly, // the system below: input, output, files
	"XX": sickly, // a bug, or data that is corrupted
}

// verdictOf err; that of an error without an SQLSTATE is wrong.
func verdictOf(err error) verdict {
	state := stateOf(err)
	if len(state) != len("00000") {
		return wrong
	}
	if v, ok := verdicts[state]; ok {
		return v
	}
	return verdicts[state[:2]]
}

// stateOf is the SQLSTATE of err, or "".
func stateOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// judge marks the error of what had no effect, or may have it twice. Worth
// another try is what the server says will pass, and a lost connection; nothing
// else is, an error of the caller's own included, unless it is marked already.
func judge(ctx context.Context, conn *pgx.Conn, err error) error {
	switch {
	case policy.IsTransient(err), policy.IsPermanent(err):
		return err
	case stateOf(err) != "":
		if verdictOf(err) == passing {
			return policy.Transient(err)
		}
		return policy.Permanent(err)
	case isEnd(ctx, err): // the policies know whose it was
		return err
	case conn.IsClosed(), pgconn.SafeToRetry(err) && !conn.PgConn().IsBusy():
		return policy.Transient(err)
	}
	return policy.Permanent(err)
}

// isEnd reports whether err is that ctx has ended.
func isEnd(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)))
}

// sick reports whether err tells that the server is in trouble, for the breaker:
// it says so, it did not answer in time, or there is no connection to be had.
// Connections that end are not: the pool makes new ones, and knows when it
// cannot.
func sick(err error) bool {
	switch {
	case err == nil, policy.Refused(err):
		return false
	case errors.Is(err, policy.ErrTimeout), errors.Is(err, policy.ErrPoolExhausted):
		return true
	}
	return verdictOf(err) == sickly
}

// demoted reports whether err says that the connection is to a server that takes
// no writes (any more).
func demoted(err error) bool { return stateOf(err) == readOnly && !policy.IsPermanent(err) }
