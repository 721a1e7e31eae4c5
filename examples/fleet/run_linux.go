package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
	"github.com/magnetar-go/magnetar/examples/internal/redisd"
)

const introduction = `%d processes share a limit of %d a second (and as much at once) through Redis at %s,
and each offers %d calls a second. Redis is stopped for a while, as by SIGSTOP.

`

// run goes through the plan and tells w about it.
func run(ctx context.Context, w io.Writer, p plan) error {
	var failed error
	err := daemon.Alone(ctx, func(t testing.TB) {
		var rows []row
		if rows, failed = p.run(ctx, w, redisd.Start(t)); failed == nil {
			_, failed = io.WriteString(w, table(p, rows))
		}
	})
	if ctx.Err() != nil { // the processes have been told too, and say so
		return context.Cause(ctx)
	}
	return errors.Join(failed, err)
}

func (p plan) run(ctx context.Context, w io.Writer, server *daemon.Daemon) (rows []row, err error) {
	if _, err := fmt.Fprintf(w, introduction, p.processes, p.limit, server.Address(), p.offered); err != nil {
		return nil, err
	}
	f, err := startFleet(ctx, p, server.Address())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	since := time.Now()
	for _, ph := range p.phases {
		if ph.redis != 0 {
			server.Signal(ph.redis)
		}
		r, err := f.phase(ctx, ph, since)
		if err != nil {
			return nil, err
		}
		rows, since = append(rows, r), r.asked
		if _, err := fmt.Fprintf(w, "%s: %v\n", ph.name, r.took.Round(100*time.Millisecond)); err != nil {
			return nil, err
		}
	}
	return rows, nil
}
