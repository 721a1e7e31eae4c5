package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"

	"github.com/go-chi/chi/v5"

	"github.com/magnetar-go/magnetar/policy"
)

// product is what the service answers with.
type product struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Price int    `json:"price"` // in cents
	// Stock is null while nobody knows: a shop can sell without.
	Stock *int `json:"stock"`
}

func (s *service) product(w http.ResponseWriter, r *http.Request) {
	p, err := s.find(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		refuse(w, r, err)
		return
	}
	body, err := json.Marshal(p)
	if err != nil {
		http.Error(w, "no answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client may have gone
}

// find asks the database, and then both upstreams at a time.
func (s *service) find(ctx context.Context, id string) (p product, err error) {
	p.ID = id
	if p.Name, err = s.database.name(ctx, id); err != nil {
		return p, err
	}
	var asked sync.WaitGroup
	asked.Go(func() {
		var stock int
		if s.stock.get(ctx, &stock, "stock", id) == nil {
			p.Stock = &stock
		}
	})
	err = s.prices.get(ctx, &p.Price, "prices", id)
	asked.Wait()
	return p, err
}

// refuse tells the client whether it is worth coming back. Once the request's
// time is up it says nothing: Deadline answers.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case r.Context().Err() != nil:
	case errors.Is(err, errNoProduct):
		http.Error(w, "no such product", http.StatusNotFound)
	case policy.Refused(err):
		w.Header().Set("Retry-After", "1")
		http.Error(w, "try again later", http.StatusServiceUnavailable)
	default:
		http.Error(w, "something behind this service is broken", http.StatusBadGateway)
	}
}
