// Fleet is four processes that share one limit through Redis, and what becomes of
// the limit when Redis is a black hole: each process then enforces its share, and
// no call waits. It starts redis-server itself, which Debian packs under that
// name.
//
//	go -C examples run ./fleet
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
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

const introduction = `%d processes share a limit of %d a second (and as much at once) through Redis at %s,
and each offers %d calls a second. Redis is stopped for a while, as by SIGSTOP.

`

var errNoRedis = errors.New("no redis-server here: apt-get install redis-server")

// run goes through the plan and tells w about it.
func run(ctx context.Context, w io.Writer, p plan) error {
	rows, err := p.run(ctx, w)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, table(p, rows))
	return err
}

func (p plan) run(ctx context.Context, w io.Writer) (rows []row, err error) {
	if _, err := exec.LookPath(redisServer); err != nil {
		return nil, errNoRedis
	}
	server, err := startRedis(ctx)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	if _, err := fmt.Fprintf(w, introduction, p.processes, p.limit, server.addr, p.offered); err != nil {
		return nil, err
	}
	f, err := startFleet(ctx, p, server.addr)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	since := time.Now()
	for _, ph := range p.phases {
		if ph.redis != 0 {
			if err := server.signal(ph.redis); err != nil {
				return nil, err
			}
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
