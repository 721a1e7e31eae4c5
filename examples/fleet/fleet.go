package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// workerEnv has what a process of the fleet is to do, as JSON.
const workerEnv = "MAGNETAR_FLEET_WORKER"

// fleet is so many processes of this very program.
type fleet []*process

type process struct {
	cmd     *exec.Cmd
	ask     io.WriteCloser // a line for each report
	reports *json.Decoder
}

// startFleet returns once all processes are ready to begin.
func startFleet(ctx context.Context, p plan, redis string) (fleet, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(task{Redis: redis, Limit: p.limit, Offered: p.offered, Replicas: p.processes, Timeout: p.timeout})
	if err != nil {
		return nil, err
	}
	var f fleet
	for range p.processes {
		w, err := startProcess(ctx, self, string(text))
		if err != nil {
			return nil, errors.Join(err, f.stop())
		}
		f = append(f, w)
	}
	for _, w := range f {
		var ready report
		if err := w.reports.Decode(&ready); err != nil {
			return nil, errors.Join(fmt.Errorf("a process is not ready: %w", err), f.stop())
		}
	}
	return f, nil
}

func startProcess(ctx context.Context, self, text string) (*process, error) {
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(cmd.Environ(), workerEnv+"="+text)
	cmd.Stderr = os.Stderr
	ask, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &process{cmd: cmd, ask: ask, reports: json.NewDecoder(out)}, cmd.Start()
}

// phase lets the fleet work for as long as ph lasts, and adds up its reports. The
// processes count from their last report on, which they were asked for at since.
func (f fleet) phase(ctx context.Context, ph phase, since time.Time) (row, error) {
	r := row{name: ph.name}
	began := time.Now()
	if err := f.each(func(w *process) error { return w.say("go") }); err != nil {
		return r, err
	}
	if !demo.Sleep(ctx, ph.lasts) {
		return r, context.Cause(ctx)
	}
	r.asked = time.Now()
	r.took = r.asked.Sub(began)
	if err := f.each(func(w *process) error { return w.say("report") }); err != nil {
		return r, err
	}
	err := f.each(func(w *process) error {
		var one report
		err := w.reports.Decode(&one)
		r.add(one)
		return err
	})
	r.counted = time.Since(since)
	return r, err
}

func (f fleet) each(do func(*process) error) error {
	for _, w := range f {
		if err := do(w); err != nil {
			return err
		}
	}
	return nil
}

func (w *process) say(word string) error {
	_, err := io.WriteString(w.ask, word+"\n")
	return err
}

// stop lets the processes end.
func (f fleet) stop() error {
	var all []error
	for _, w := range f {
		all = append(all, w.ask.Close())
	}
	for _, w := range f {
		all = append(all, w.cmd.Wait())
	}
	return errors.Join(all...)
}
