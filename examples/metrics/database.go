package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/pool"
)

// database allows few sessions, which a pool keeps.
type database struct {
	sessions *pool.Pool[*session]
	takes    atomic.Int64 // a query, in nanoseconds
}

// session stands for a connection to a real database.
type session struct{}

// A query takes so long when all is well, and when the database is slow: then
// four sessions do ten queries a second.
const (
	maxSessions = 4
	quickly     = 10 * time.Millisecond
	slowly      = 400 * time.Millisecond
)

// newDatabase calls a session leaked that is out for leakAfter.
func newDatabase(leakAfter time.Duration) (*database, error) {
	db := &database{}
	db.takes.Store(int64(quickly))
	connect := func(context.Context) (*session, error) { return &session{}, nil }
	cfg := pool.Config{MaxSize: maxSessions, AcquireTimeout: 100 * time.Millisecond, LeakAfter: leakAfter}
	var err error
	db.sessions, err = pool.New(pool.Funcs(connect, nil, nil), cfg, pool.WithKey("database"))
	return db, err
}

func (db *database) query(ctx context.Context) error {
	return db.sessions.Do(ctx, func(ctx context.Context, _ *session) error {
		if !demo.Sleep(ctx, time.Duration(db.takes.Load())) {
			return context.Cause(ctx)
		}
		return nil
	})
}

// forget takes a session and gives it back only when its context ends.
func (db *database) forget(ctx context.Context) {
	for {
		lease, err := db.sessions.Acquire(ctx)
		if err == nil {
			<-ctx.Done()
			lease.Release()
			return
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (db *database) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = db.sessions.Close(ctx) // after that they are closed under their users
}
