package main

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
	"github.com/magnetar-go/magnetar/transport"
)

// plot is what is special about the services in a story.
type plot struct {
	stocks  int                      // instances behind the name of stock; zero: 1
	named   int                      // of them, at first; zero: all
	toStock transport.Config         // how orders calls stock; zero: as everybody else
	pool    pool.TransportConfig     // over which connections
	orders  policy.ConcurrencyConfig // how many requests orders has room for; zero: enough
	answer  func(ctx context.Context, t *town, of visit) int
}

// town is the services of one story, and the customer's client.
type town struct {
	plot      plot
	telemetry *telemetry
	journal   *journal
	names     names
	customer  *http.Client
	stocks    []string // addresses of its instances

	asked atomic.Int64  // requests that have reached stock
	well  atomic.Bool   // stock, where the plot asks
	busy  chan struct{} // closed when stock has begun something that takes long,
	over  chan struct{} // and to end it

	closing []func()
}

// timeouts are all that a client needs that leaves the rest to others: where
// each service repeated what fails, one failure would be many calls.
var timeouts = transport.Config{Timeouts: &transport.Timeouts{}}

// enough room for what the stories do, so that nobody's limit moves.
var enough = policy.ConcurrencyConfig{Limit: 64}

// openTown starts the services. They end with close.
func openTown(ctx context.Context, t *telemetry, p plot) (*town, error) {
	tn := &town{plot: p, telemetry: t, journal: newJournal(), busy: make(chan struct{}), over: make(chan struct{})}
	if err := tn.open(ctx); err != nil {
		tn.close()
		return nil, err
	}
	return tn, nil
}

func (t *town) open(ctx context.Context) error {
	for i := range max(1, t.plot.stocks) {
		address, err := t.serve(ctx, stock, enough, func(r chi.Router) { r.Get("/items/{id}", t.keep(i)) })
		if err != nil {
			return err
		}
		t.stocks = append(t.stocks, address)
	}
	named := t.stocks
	if t.plot.named > 0 {
		named = t.stocks[:t.plot.named]
	}
	t.names.set(stock, named...)

	toStock, err := t.client(orders, t.plot.pool, t.plot.toStock)
	if err != nil {
		return err
	}
	room := t.plot.orders
	if room == (policy.ConcurrencyConfig{}) {
		room = enough
	}
	address, err := t.serve(ctx, orders, room, func(r chi.Router) { r.Get("/orders/{items}", order(toStock)) })
	if err != nil {
		return err
	}
	t.names.set(orders, address)

	toOrders, err := t.client(shop, pool.DefaultTransport(), timeouts)
	if err != nil {
		return err
	}
	address, err = t.serve(ctx, shop, enough, func(r chi.Router) { r.Get("/checkout/{items}", checkout(toOrders)) })
	if err != nil {
		return err
	}
	t.names.set(shop, address)
	t.customer, err = t.client(customer, pool.DefaultTransport(), timeouts)
	return err
}

// serve starts a service behind the kit's middleware, and returns its address.
// The chain is mounted within the router, so that spans and refusals know their
// route.
func (t *town) serve(ctx context.Context, name string, room policy.ConcurrencyConfig, mount func(chi.Router)) (string, error) {
	shedder, err := shed.NewShedder(room, shed.WithTelemetry(t.telemetry.of(name)), shed.WithObserver(t.journal.of(name)))
	if err != nil {
		return "", err
	}
	r := chi.NewRouter()
	r.Group(func(r chi.Router) {
		r.Use(
			otelhttp.NewMiddleware(name, otelhttp.WithTracerProvider(t.telemetry.providers[name]), otelhttp.WithPropagators(propagators)),
			shedder.Handler,
		)
		mount(r)
	})
	s, err := demo.Serve(ctx, r)
	if err != nil {
		return "", err
	}
	t.closing = append(t.closing, s.Close)
	return s.URL[len("http://"):], nil
}

// client is how a service calls others.
func (t *town) client(of string, p pool.TransportConfig, cfg transport.Config) (*http.Client, error) {
	if cfg == (transport.Config{}) {
		cfg = timeouts
	}
	o, seen := t.telemetry.of(of), t.journal.of(of)
	pt, err := pool.NewTransport(p, pool.WithResolver(&t.names), pool.WithBalancer(pool.RoundRobin()),
		pool.WithTelemetry(o), pool.WithObserver(seen))
	if err != nil {
		return nil, err
	}
	t.closing = append(t.closing, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = pt.Drain(ctx) // it has closed all in any case
	})
	return &http.Client{Transport: transport.New(pt, cfg, transport.WithTelemetry(o), transport.WithObserver(seen))}, nil
}

// close ends the callers first, then those they called.
func (t *town) close() {
	for _, end := range slices.Backward(t.closing) {
		end()
	}
	t.closing = nil
}

// at is the URL of a service for the others: there is no such domain, only the
// town knows it.
func at(service, path string) string { return "http://" + service + ".test" + path }

// names is the town's DNS.
type names struct {
	mu        sync.Mutex
	addresses map[string][]string
}

func (n *names) set(service string, addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addresses == nil {
		n.addresses = make(map[string][]string)
	}
	n.addresses[service+".test"] = addresses
}

// Resolve makes it a [pool.Resolver].
func (n *names) Resolve(_ context.Context, host string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if addresses, ok := n.addresses[host]; ok {
		return addresses, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}
