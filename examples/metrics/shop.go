package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// shop is the service that is watched. Each of its routes depends on something
// else that can be in trouble.
type shop struct {
	services *http.Client
	database *database
	packers  chan struct{}
}

// Orders are packed by hand, forty a second.
const (
	packers     = 4
	takesToPack = 100 * time.Millisecond
)

func newShop(services *http.Client, db *database) *shop {
	return &shop{services: services, database: db, packers: make(chan struct{}, packers)}
}

// handler has the spans outermost, for the kit's decisions are told in them. All
// of the chain is within the router, so that the metrics know the route.
func (s *shop) handler() http.Handler {
	r := chi.NewRouter()
	r.Group(func(r chi.Router) {
		r.Use(otelhttp.NewMiddleware("shop"))
		r.Use(shed.Priority(shed.WithPriority(priorityOf)))
		r.Use(shed.Shed(policy.ConcurrencyConfig{})) // finds out how many packers there are
		r.Get("/items/{id}", s.item)
		r.Get("/prices/{id}", s.price)
		r.Post("/orders", s.order)
	})
	return r
}

func priorityOf(r *http.Request) policy.Priority {
	if r.URL.Path == "/orders" {
		return policy.Critical
	}
	return policy.Normal
}

// item needs a session of the database, and then one of several replicas.
func (s *shop) item(w http.ResponseWriter, r *http.Request) {
	if err := s.database.query(r.Context()); err != nil {
		http.Error(w, "no database", http.StatusInternalServerError)
		return
	}
	s.relay(w, r, stockHost, "items")
}

// price needs a service of which there is but one.
func (s *shop) price(w http.ResponseWriter, r *http.Request) {
	s.relay(w, r, pricesHost, "prices")
}

// order needs a packer.
func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	select {
	case s.packers <- struct{}{}:
		defer func() { <-s.packers }()
	case <-r.Context().Done():
		return
	}
	if demo.Sleep(r.Context(), takesToPack) {
		w.WriteHeader(http.StatusCreated)
	}
}

// relay answers with what a service says of something.
func (s *shop) relay(w http.ResponseWriter, r *http.Request, host, things string) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	resp, err := s.ask(r.Context(), host, things, id)
	if err != nil {
		http.Error(w, "no answer", http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // the client may have gone
}

// ask tells the metrics the template of the path, which has no bound of its own.
// The context carries the trace on.
func (s *shop) ask(ctx context.Context, host, things string, id int) (*http.Response, error) {
	ctx = otel.ContextWithURLTemplate(ctx, "/"+things+"/{id}")
	url := fmt.Sprintf("http://%s/%s/%d", host, things, id)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil) //nolint:gosec // the customer chooses a number only
	if err != nil {
		return nil, err
	}
	return s.services.Do(req) //nolint:gosec // see above
}
