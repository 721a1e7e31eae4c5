package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// task is what a process of the fleet is told to do.
type task struct {
	Redis    string        `json:"redis"`
	Limit    int           `json:"limit"`
	Offered  int           `json:"offered"`
	Replicas int           `json:"replicas"`
	Timeout  time.Duration `json:"timeout"`
}

// report is what came of the calls of one process since the last one.
type report struct {
	Admitted int             `json:"admitted"`
	Refused  int             `json:"refused"`
	Without  int             `json:"without"` // calls that went on without Redis
	Breaker  string          `json:"breaker"`
	Times    []time.Duration `json:"times"`
}

// worker calls, for as long as it is told to.
type worker struct {
	store   *redislimit.Store
	limiter *redislimit.Limiter
	every   time.Duration
	calls   sync.WaitGroup

	mu  sync.Mutex
	now report // guarded by mu; without the breaker
}

// newWorker shows how a process comes to a limit that it shares.
func newWorker(t task, client *redis.Client) (*worker, error) {
	store, err := redislimit.NewStore(client, redislimit.Config{
		Timeout: t.Timeout, OnFailure: redislimit.Local, Replicas: t.Replicas,
	}, redislimit.WithObserver(policy.ObserverFunc(markBypass)))
	if err != nil {
		return nil, err
	}
	limiter, err := redislimit.NewLimiter(store, "payments", policy.RateLimiterConfig{Limit: t.Limit, MaxWait: -1})
	if err != nil {
		return nil, err
	}
	return &worker{store: store, limiter: limiter, every: time.Second / time.Duration(t.Offered)}, nil
}

// work is a process of the fleet. It says that it is ready, calls from the line
// "go" on, reports at each other line, and ends with its input.
func work(ctx context.Context, text string, in io.Reader, out io.Writer) error {
	var t task
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return err
	}
	client := redis.NewClient(&redis.Options{Addr: t.Redis, DialerRetries: 1, ContextTimeoutEnabled: true})
	defer client.Close() //nolint:errcheck // it has nothing to lose
	w, err := newWorker(t, client)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer w.calls.Wait()
	defer cancel()
	reports := json.NewEncoder(out)
	if err := reports.Encode(report{}); err != nil {
		return err
	}
	var begin sync.Once
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if lines.Text() == "go" {
			begin.Do(func() { w.calls.Go(func() { w.run(ctx) }) })
		} else if err := reports.Encode(w.report()); err != nil {
			return err
		}
	}
	return nil
}

// run begins a call every so often, however long those before it take.
func (w *worker) run(ctx context.Context) {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.calls.Go(func() { w.call(ctx) })
		case <-ctx.Done():
			return
		}
	}
}

// bypass is, in a call's context, whether it went on without Redis.
type bypass struct{}

func markBypass(ctx context.Context, d policy.Decision) {
	if d.Action != policy.ActionBypass || d.Reason != policy.ReasonStore {
		return
	}
	if without, ok := ctx.Value(bypass{}).(*bool); ok {
		*without = true
	}
}

func (w *worker) call(ctx context.Context) {
	var without bool
	ctx = context.WithValue(ctx, bypass{}, &without)
	began := time.Now()
	_, err := w.limiter.Admit(ctx)
	took := time.Since(began)
	w.mu.Lock()
	defer w.mu.Unlock()
	if without {
		w.now.Without++
	}
	w.now.Times = append(w.now.Times, took)
	if err == nil {
		w.now.Admitted++
	} else {
		w.now.Refused++
	}
}

func (w *worker) report() report {
	state := w.store.Stats().State.String()
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.now
	r.Breaker, w.now = state, report{}
	return r
}
