// Pooled calls four servers behind one name, two that speak HTTP/2 and two that
// speak HTTP/1.1, all with TLS, through [pool.Transport] and the chain around
// it. One of them turns sick, one leaves DNS, one is killed and started again.
// It draws where the traffic goes as it goes, and ends with a report; if a call
// failed that should not have, it exits with 1.
//
//	go -C examples run ./pooled
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
	"github.com/magnetar-go/magnetar/transport"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, theNight)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pooled:", err)
		os.Exit(1)
	}
}

const introduction = `Four servers are behind %s, whom only the program's own resolver knows. %d calls a
second go to it, 80 %% of them GET, 10 %% PUT, 10 %% POST, through
  pt, err := pool.NewTransport(cfg, pool.WithResolver(…), pool.WithBalancer(pool.RoundRobin()))
  &http.Client{Transport: transport.New(pt, transport.Default())}
with connections that live for %v at most.

`

var errBroken = errors.New("a promise was broken")

// run goes through the plan and tells w about it.
func run(ctx context.Context, w io.Writer, p plan) error {
	if _, err := fmt.Fprintf(w, introduction, host, p.rate, p.pool.lifetime); err != nil {
		return err
	}
	r, err := p.run(ctx, w)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(w, r); err != nil {
		return err
	}
	if !r.kept() {
		return errBroken
	}
	return nil
}

// run returns what came of the plan.
func (p plan) run(ctx context.Context, w io.Writer) (*result, error) {
	cert, roots, err := demo.SelfSigned(host)
	if err != nil {
		return nil, err
	}
	f, err := newFleet(ctx, cert)
	if err != nil {
		return nil, err
	}
	defer f.close()
	seen := newEvents()
	pt, err := newPool(p.pool, f, roots, seen)
	if err != nil {
		return nil, err
	}
	defer func() { _ = pt.Close() }() // all calls have ended

	s := newStage(p)
	l := newLoad(&http.Client{Transport: transport.New(pt, transport.Default())}, f)
	v := &view{plan: p, stage: s, fleet: f, load: l, pool: pt, events: seen}
	stop := demo.Live(w, v.block, v.line)
	err = during(ctx, func(ctx context.Context) { l.run(ctx, p.rate, p.workers) }, func() error { return s.play(ctx, p, f) })
	stop()
	if err != nil {
		return nil, err
	}
	return &result{fleet: f, load: l, events: seen}, nil
}

// during has work going on until play returns, and returns when both have ended.
func during(ctx context.Context, work func(context.Context), play func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		work(ctx)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	return play()
}

// newPool has everything on, in times short enough to be watched.
func newPool(t times, f *fleet, roots *x509.CertPool, o policy.Observer) (*pool.Transport, error) {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	cfg := pool.DefaultTransport()
	cfg.MaxLifetime = t.lifetime
	cfg.Refresh, cfg.MinRefresh = t.refresh, t.refresh
	cfg.SlowStart = t.slowStart
	cfg.Outlier = &pool.OutlierConfig{BaseEjection: t.ejection}
	return pool.NewTransport(cfg, pool.WithBase(base), pool.WithResolver(f), pool.WithBalancer(pool.RoundRobin()), pool.WithObserver(o))
}
