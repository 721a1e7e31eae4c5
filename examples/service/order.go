package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

// order is what somebody bought.
type order struct {
	ID      string `json:"id"`
	Product string `json:"product"`
}

// buy places an order. Whoever sends an Idempotency-Key may send it again until it
// is answered. Where users are known, the key should have theirs before it.
func (s *service) buy(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	if !usable(key) {
		http.Error(w, "an Idempotency-Key is up to 64 letters, digits, - and _", http.StatusBadRequest)
		return
	}
	product := chi.URLParam(r, "id")
	ctx, cancel := ahead(r.Context())
	defer cancel()
	id, err := s.database.purchase(ctx, key, product)
	if err == nil || perhaps(err) {
		w.Header().Set("Location", "/orders/"+id)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answer(w, http.StatusCreated, order{id, product})
}

// ahead ends before the request's time does, so that there is some left to say that
// nobody knows what became of an order.
func ahead(ctx context.Context) (context.Context, context.CancelFunc) {
	const left = 100 * time.Millisecond
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-left))
}

// bought shows an order: also to those who were told that nobody knows whether it
// was placed.
func (s *service) bought(w http.ResponseWriter, r *http.Request) {
	id := chi.URLParam(r, "id")
	product, err := s.database.purchased(r.Context(), id)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, order{id, product})
}

func usable(key string) bool {
	const most = 64
	return len(key) <= most && strings.IndexFunc(key, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}) < 0
}
