package main

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"
)

// users are how many work while something goes wrong.
const users = 8

// fault is something that goes wrong under load.
type fault struct {
	name  string
	times int
	felt  int // how many calls are repeated before it ends
	begin func(*smbd)
	end   func(*smbd)
}

var faults = []fault{
	{name: "none"},
	{"smbd killed and restarted", 2, 2 * users, (*smbd).kill, (*smbd).revive},
	{"smbd hangs", 2, users, (*smbd).pause, (*smbd).resume},
	{"share closed by its administrator", 3, 1, (*smbd).closeShare, func(*smbd) {}},
}

// survive has a fault happen under load, each time until it was felt, and returns
// what became of the calls. The load goes on until the server answers well again.
// The error says what was lost.
func (f fault) survive(ctx context.Context, s *smbd, cfg Config) (tally, error) {
	l := &ledger{}
	files, err := OpenFiles(s.Server, cfg, l)
	if err != nil {
		return tally{}, err
	}
	defer closeFiles(files)
	working, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { (&load{files, l}).run(working, users) })
	err = f.happen(ctx, s, l)
	stop()
	wg.Wait()
	return l.now(), cmp.Or(l.loss(), err)
}

func (f fault) happen(ctx context.Context, s *smbd, l *ledger) error {
	well := tally{answered: 20 * users}
	if err := l.await(ctx, tally{}, well); err != nil {
		return fmt.Errorf("before the fault: %w", err)
	}
	for range f.times {
		if err := f.once(ctx, s, l); err != nil {
			return err
		}
		if err := l.await(ctx, l.now(), well); err != nil {
			return fmt.Errorf("after the fault: %w", err)
		}
	}
	return nil
}

// once has the fault happen, until enough calls were repeated for it.
func (f fault) once(ctx context.Context, s *smbd, l *ledger) error {
	before := l.now()
	f.begin(s)
	defer f.end(s)
	if err := l.await(ctx, before, tally{repeated: f.felt}); err != nil {
		return fmt.Errorf("during the fault: %w", err)
	}
	return nil
}

func closeFiles(f *Files) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = f.Close(ctx) // what does not end is cut
}
