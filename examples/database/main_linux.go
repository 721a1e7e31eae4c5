package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, faults)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "database:", err)
		os.Exit(1)
	}
}

const introduction = `A PostgreSQL of its own is at %s. Customers read, write, and write with a
key of their own, through
  retry → breaker → rate limit → pool.Pool[*pgx.Conn]
while the database is in trouble. Lost are calls that could be repeated and failed all the same.

`

var errBroken = errors.New("a call was lost that could be repeated, or the database is not what callers were told")

// run plays the faults and tells w about it.
func run(ctx context.Context, w io.Writer, faults []fault) error {
	kept := true
	err := daemon.Alone(ctx, func(t testing.TB) {
		s := newServer(t)
		_, _ = fmt.Fprintf(w, introduction, s.Address())
		for _, f := range faults {
			if ctx.Err() != nil {
				break
			}
			r := f.survive(t, s)
			_, _ = fmt.Fprintf(w, "%v\n  %s\n  %s\n", r, f.about, r.details())
			kept = kept && r.kept()
		}
	})
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !kept:
		return errBroken
	}
	_, err = fmt.Fprintln(w, "No call was lost that could be repeated, and each write is there as often as its caller was told.")
	return err
}
