package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
)

// most is how long the program takes at most.
const most = 28 * time.Second

const introduction = `smbd on %s with the share %q. %d users write files, read them back, list and remove them,
over a pool of %d sessions; each fault ends when calls were repeated for it.

`

// run starts a server and shows the faults.
func run(ctx context.Context, w io.Writer) error { return show(ctx, w, faults) }

// show goes through faults and tells w what became of the calls. The error says
// what was lost that must not be.
func show(ctx context.Context, w io.Writer, faults []fault) error {
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("not over within %v", most))
	defer cancel()
	var failed error
	err := daemon.Alone(ctx, func(t testing.TB) {
		failed = play(ctx, w, startSmbd(t), faults)
	})
	return errors.Join(failed, err)
}

func play(ctx context.Context, w io.Writer, s *smbd, faults []fault) error {
	cfg := Patient()
	cfg.Try = time.Second
	if _, err := fmt.Fprintf(w, introduction, s.Server.Address, s.Share, users, cfg.Pool.MaxSize); err != nil {
		return err
	}
	for _, f := range faults {
		began := time.Now()
		end, failed := f.survive(ctx, s, cfg)
		_, err := fmt.Fprintf(w, "fault: %-33s %v  in %.1f s\n", f.name, end, time.Since(began).Seconds())
		if failed != nil {
			return fmt.Errorf("%s: %w", f.name, failed)
		}
		if err != nil {
			return err
		}
	}
	_, err := fmt.Fprint(w, "\nNothing was lost: what a session was in the middle of when it died was done again on another.\n")
	return err
}
