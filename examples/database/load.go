package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/magnetar-go/magnetar/examples/database/postgres"
	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/policy"
)

const (
	accounts = 100
	patience = 25 * time.Second // of one call
)

// call is a customer's. key is its own; of a read nothing is written.
type call struct {
	name string
	do   func(ctx context.Context, db *postgres.DB, key string) error
	// once says that the database knows the key: the call may be repeated
	// whatever came of it.
	once bool
}

var (
	read = call{name: "Get", once: true, do: func(ctx context.Context, db *postgres.DB, _ string) error {
		_, err := postgres.Get(ctx, db, func(ctx context.Context, conn *pgx.Conn) (sum int64, err error) {
			err = conn.QueryRow(ctx, `select sum(balance) from account`).Scan(&sum)
			return sum, err
		})
		return err
	}}
	write = call{name: "Do", do: func(ctx context.Context, db *postgres.DB, key string) error {
		return db.Do(ctx, book(key, mathrand.IntN(accounts)))
	}}
	writeOnce = call{name: "DoOnce", once: true, do: func(ctx context.Context, db *postgres.DB, key string) error {
		return db.DoOnce(ctx, key, book(key, mathrand.IntN(accounts)))
	}}
	// contended reads before it writes, as all others do at the same few rows.
	contended = call{name: "DoTx", do: func(ctx context.Context, db *postgres.DB, key string) error {
		return db.DoTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(ctx context.Context, tx pgx.Tx) error {
			const few = 4
			if _, err := tx.Exec(ctx, `select sum(balance) from account where id < $1`, few); err != nil {
				return err
			}
			return book(key, mathrand.IntN(few))(ctx, tx)
		})
	}}
	// crossed locks two rows in any order, as others do.
	crossed = call{name: "Do", do: func(ctx context.Context, db *postgres.DB, key string) error {
		return db.Do(ctx, func(ctx context.Context, tx pgx.Tx) error {
			few := mathrand.Perm(4)
			if err := book(key, few[0])(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `update account set balance = balance where id = $1`, few[1])
			return err
		})
	}}
)

// book writes a key, and one more to an account.
func book(key string, account int) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `insert into booking (key, account) values ($1, $2)`, key, account); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `update account set balance = balance + 1 where id = $1`, account)
		return err
	}
}

// load makes calls, and keeps what each was told.
type load struct {
	db    *postgres.DB
	calls []call

	mu sync.Mutex
	// Guarded by mu:
	result result
	over   bool // what is still told does not count
}

// run makes calls until ctx ends, and returns once all are answered: the end of
// ctx cuts none.
func (l *load) run(ctx context.Context, workers int) {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := w; demo.Sleep(ctx, mathrand.N(8*time.Millisecond)); n++ {
				l.call(ctx, l.calls[n%len(l.calls)])
			}
		})
	}
	wg.Wait()
}

func (l *load) call(ctx context.Context, c call) {
	key := rand.Text()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err := c.do(ctx, l.db, key)

	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.result
	r.offered++
	_, unknown := errors.AsType[*postgres.CommitUnknownError](err)
	switch {
	case err == nil:
		r.answered++
		if c.name != read.name {
			r.told[key] = done
		}
	case unknown && !c.once:
		r.unknown++
		r.told[key] = perhaps
	default:
		r.lost++
		r.errs = append(r.errs, fmt.Errorf("%s: %w", c.name, err))
		r.told[key] = map[bool]told{true: perhaps, false: notDone}[unknown]
	}
}

// Observe counts the tries that are repeated.
func (l *load) Observe(_ context.Context, d policy.Decision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over:
	case d.Policy == policy.PolicyRetry && d.Action == policy.ActionWait:
		l.result.repeated++
		l.result.causes[stateOf(d.Err)]++
	case d.Policy == policy.PolicyPool && d.Action == policy.ActionCreate && d.Err != nil:
		l.result.refused[stateOf(d.Err)]++
	}
}

// unknown is how many commits are of unknown fate so far.
func (l *load) unknown() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.result.unknown
}
