// S3 reads and writes objects through the AWS SDK for Go, with its retries off
// and the kit in their place, while a real server and a proxy before it do what
// they can to lose calls. Package store is the part to copy: its comment says
// what is sent again, and how every try gets a signature of its own. The program
// starts a server by itself, versitygw, that VERSITYGW_BIN or the PATH names. It
// exits with 1 if a call was lost that must not be.
//
//	go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
//	go -C examples run ./s3
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, scenes)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "s3:", err)
		os.Exit(1)
	}
}

var errLost = errors.New("a call was lost that must not be")

// show plays the scenes, and tells w about them as it goes.
func (s *stage) show(ctx context.Context, w io.Writer, scenes []scene) error {
	var all tally
	for _, sc := range scenes {
		began := time.Now()
		t, err := s.play(ctx, sc)
		if err == nil {
			err = ctx.Err() // what the user has interrupted is not lost
		}
		if err != nil {
			return err
		}
		all.add(t)
		if _, err := fmt.Fprintf(w, "%s  %6.1f s\n", t, time.Since(began).Seconds()); err != nil {
			return err
		}
	}
	if all.lost > 0 {
		return errLost
	}
	_, err := fmt.Fprintf(w, "\n%d calls, %d requests repeated, none lost.\n", all.offered, all.repeated)
	return err
}
