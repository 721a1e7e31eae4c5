// Overload puts a server under more load than the resource behind it can bear,
// and then slows the resource down: once with [middleware.Shed] and once without,
// the one after the other, so that they do not take each other's processor time.
// It draws how many requests are answered and how long those take as it goes, and
// ends with a table.
//
//	go -C examples run ./overload
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, theRush)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "overload:", err)
		os.Exit(1)
	}
}

// theRush is what each of the servers goes through.
var theRush = plan{
	slots:    8,
	takes:    20 * time.Millisecond,
	patience: time.Second,
	phases: []phase{
		{name: "0.5x", lasts: 3 * time.Second, load: 0.5},
		{name: "2x", lasts: 4 * time.Second, load: 2},
		{name: "5x", lasts: 4 * time.Second, load: 5},
		{name: "10x", lasts: 4 * time.Second, load: 10},
		{name: "4x slower", lasts: 5 * time.Second, load: 2, slower: 4},
		{name: "10x slower", lasts: 6 * time.Second, load: 2, slower: 10},
	},
}

const introduction = `A chi server whose handler needs one of %d connections for about %v, so that it can answer
%.0f requests a second. They arrive at random, whatever becomes of those before, and their clients
wait for %v. In the end the connections become slower, under %gx the load of a healthy server.
The same server goes through it twice: with r.Use(shed.Shed(policy.ConcurrencyConfig{})), and without.

`

// run goes through the plan with each server and tells w about it.
func run(ctx context.Context, w io.Writer, p plan) error {
	last := p.phases[len(p.phases)-1]
	if _, err := fmt.Fprintf(w, introduction, p.slots, p.takes, p.capacity(phase{}), p.patience, last.load); err != nil {
		return err
	}
	rides, err := p.rideAll(ctx, w)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(w, chart(p, rides), table(p, rides), verdicts(p, rides))
	return err
}

// rideAll returns what came of the plan with Shed and without.
func (p plan) rideAll(ctx context.Context, w io.Writer) ([]*ride, error) {
	rides := []*ride{
		newRide("with Shed", p, shed.Shed(policy.ConcurrencyConfig{})),
		newRide("without", p),
	}
	for _, r := range rides {
		if err := r.watched(ctx, w, rides); err != nil {
			return nil, err
		}
	}
	return rides, nil
}

// watched is the ride while w is told of it.
func (r *ride) watched(ctx context.Context, w io.Writer, all []*ride) error {
	db := newResource(r.plan.slots, r.plan.takes)
	s, err := demo.Serve(ctx, service(db, r.guards))
	if err != nil {
		return err
	}
	defer s.Close()
	stop := demo.Live(w, func() string { return chart(r.plan, all) }, r.line)
	defer stop()
	return r.run(ctx, db, s.URL+"/orders/42")
}

// service is a router with the resource behind it.
func service(db *resource, guards []func(http.Handler) http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(guards...)
	r.Get("/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		if err := db.use(r.Context()); err != nil {
			http.Error(w, "no connection", http.StatusServiceUnavailable) // the client has gone
			return
		}
		_, _ = io.WriteString(w, "the order\n") // here too
	})
	return r
}
