// Fleet is four processes that share one limit through Redis, and what becomes of
// the limit when Redis is a black hole: each process then enforces its share, and
// no call waits. It starts redis-server itself, which Debian packs under that
// name.
//
//	go -C examples run ./fleet
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if os.Getenv(workerEnv) != "" {
		err = work(ctx, os.Getenv(workerEnv), os.Stdin, os.Stdout)
	} else {
		err = run(ctx, os.Stdout, theRun)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// plan is what the fleet goes through.
type plan struct {
	processes int
	limit     int           // a second, of all of them; also the burst
	offered   int           // calls a second of each
	timeout   time.Duration // of the store
	phases    []phase
}

type phase struct {
	name  string
	lasts time.Duration
	redis syscall.Signal // at its beginning
}

// SIGSTOP makes a black hole of Redis: its kernel accepts connections and takes
// what is sent, and nobody answers.
var theRun = plan{
	processes: 4,
	limit:     100,
	offered:   250,
	timeout:   100 * time.Millisecond,
	phases: []phase{
		{"shared", 10 * time.Second, 0},
		{"Redis stops", 500 * time.Millisecond, syscall.SIGSTOP},
		{"black hole", 5 * time.Second, 0},
		{"Redis back", 3 * time.Second, syscall.SIGCONT},
		{"shared again", 5 * time.Second, 0},
	},
}
