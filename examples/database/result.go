package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/magnetar-go/magnetar/examples/database/postgres"
	"github.com/magnetar-go/magnetar/policy"
)

// told is what a caller was told of a write.
type told uint8

const (
	notDone told = iota
	perhaps
	done
)

// result is what came of the calls during a fault.
type result struct {
	fault                       string
	offered, answered, repeated int
	lost                        int // failed, though they could be repeated
	unknown                     int // commits of unknown fate, which could not be
	happened                    int // of these, those that had happened

	told    map[string]told // by key
	errs    []error         // of those lost
	wrong   []string        // what the database has that a caller was not told, or lacks
	causes  map[string]int  // SQLSTATEs that tries were repeated for
	refused map[string]int  // SQLSTATEs that the server refused connections with
}

func newResult(fault string) result {
	return result{fault: fault, told: make(map[string]told), causes: make(map[string]int), refused: make(map[string]int)}
}

// audit compares what the callers were told with what the database has.
func (r *result) audit(ctx context.Context, db *postgres.DB) error {
	counts, err := postgres.Get(ctx, db, bookings)
	if err != nil {
		return err
	}
	for key, was := range r.told {
		n := counts[key]
		switch {
		case was == done && n != 1, was == perhaps && n > 1, was == notDone && n > 0:
			r.wrong = append(r.wrong, fmt.Sprintf("%s is there %d times, its caller was told %s", key, n, was))
		case was == perhaps:
			r.happened += n
		}
	}
	surplus, err := postgres.Get(ctx, db, func(ctx context.Context, conn *pgx.Conn) (n int64, err error) {
		err = conn.QueryRow(ctx, `select (select sum(balance) from account) - (select count(*) from booking)`).Scan(&n)
		return n, err
	})
	if surplus != 0 {
		r.wrong = append(r.wrong, fmt.Sprintf("the accounts have %d more than was booked", surplus))
	}
	return err
}

// bookings counts those of each key.
func bookings(ctx context.Context, conn *pgx.Conn) (map[string]int, error) {
	rows, err := conn.Query(ctx, `select key, count(*) from booking group by key`)
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int)
	var key string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&key, &n}, func() error {
		counts[key] = n
		return nil
	})
	return counts, err
}

func (r *result) kept() bool { return r.lost == 0 && len(r.wrong) == 0 }

// String is a line for a table.
func (r *result) String() string {
	return fmt.Sprintf("fault: %-28s offered %5d  answered %5d  repeated %4d  lost %d", r.fault, r.offered, r.answered, r.repeated, r.lost)
}

// details say why tries were repeated, and what is wrong.
func (r *result) details() string {
	var b strings.Builder
	fmt.Fprintf(&b, "repeated for %s; connections refused for %s; %d commits of unknown fate, of which %d had happened\n",
		list(r.causes), list(r.refused), r.unknown, r.happened)
	for _, err := range r.errs {
		fmt.Fprintf(&b, "  lost: %v\n", err)
	}
	for _, w := range r.wrong {
		fmt.Fprintf(&b, "  wrong: %s\n", w)
	}
	return b.String()
}

func list(counts map[string]int) string {
	if len(counts) == 0 {
		return "nothing"
	}
	parts := make([]string, 0, len(counts))
	for _, state := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s (%d)", state, counts[state]))
	}
	return strings.Join(parts, ", ")
}

// stateOf is the SQLSTATE of err, or what else it was.
func stateOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	if errors.Is(err, policy.ErrCircuitOpen) {
		return "open breaker"
	}
	return "no answer"
}

func (t told) String() string {
	return [...]string{"that it failed", "that nobody knows", "that it is done"}[t]
}
