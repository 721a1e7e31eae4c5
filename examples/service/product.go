package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/go-chi/chi/v5"
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
		s.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, p)
}

// find asks the database, and then both upstreams at a time.
func (s *service) find(ctx context.Context, id string) (p product, err error) {
	p.ID = id
	if p.Name, err = s.database.name(ctx, id); err != nil {
		return p, err
	}
	var asked sync.WaitGroup
	asked.Go(func() {
		if stock, err := s.stock.number(ctx, "stock", id); err == nil {
			p.Stock = &stock
		}
	})
	p.Price, err = s.prices.number(ctx, "prices", id)
	asked.Wait()
	return p, err
}
