package main

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// checkout is what the shop does: it hands the order on.
func checkout(toOrders *http.Client) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		get(r.Context(), toOrders, at(orders, "/orders/"+chi.URLParam(r, "items"))).passOn(w)
	}
}

// order asks stock for each of so many items, all at the same time.
func order(toStock *http.Client) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(chi.URLParam(r, "items"))
		if err != nil || n < 1 || n > 16 {
			http.Error(w, "an order is of 1 to 16 items", http.StatusBadRequest)
			return
		}
		replies := make([]reply, n)
		var wg sync.WaitGroup
		for i := range replies {
			wg.Go(func() { replies[i] = get(r.Context(), toStock, at(stock, "/items/"+strconv.Itoa(i+1))) })
		}
		wg.Wait()
		worst := replies[0]
		for _, r := range replies {
			if r.status > worst.status {
				worst = r
			}
		}
		worst.passOn(w)
	}
}

// keep is what an instance of stock does: as the plot says.
func (t *town) keep(instance int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := visit{
			instance: instance, header: r.Header.Clone(),
			span: trace.SpanContextFromContext(r.Context()), began: time.Now(), status: http.StatusOK,
		}
		t.asked.Add(1)
		if t.plot.answer != nil {
			v.status = t.plot.answer(r.Context(), t, v)
		}
		v.ended = time.Now()
		t.journal.visited(v)
		w.WriteHeader(v.status)
		_, _ = io.WriteString(w, http.StatusText(v.status)) // the caller may have gone
	}
}

// reply is what came of a call to the next service.
type reply struct {
	status     int
	retryAfter string
}

func get(ctx context.Context, client *http.Client, url string) reply {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil) //nolint:gosec // it is the town's own
	if err != nil {
		return reply{status: http.StatusInternalServerError}
	}
	resp, err := client.Do(req) //nolint:gosec // here too
	if err != nil {
		return replyTo(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return replyTo(err)
	}
	return reply{resp.StatusCode, resp.Header.Get("Retry-After")}
}

// replyTo says by a status that the next service was not asked, or did not
// answer.
func replyTo(err error) reply {
	if refusal, ok := errors.AsType[*policy.Error](err); ok && policy.Refused(err) {
		seconds := math.Ceil(max(1, refusal.RetryAfter.Seconds()))
		return reply{http.StatusServiceUnavailable, strconv.Itoa(int(seconds))}
	}
	return reply{status: http.StatusBadGateway}
}

// passOn answers with what the next service did; that it failed is no failure of
// this one, and so 502.
func (r reply) passOn(w http.ResponseWriter) {
	status := r.status
	if status >= http.StatusInternalServerError && r.retryAfter == "" {
		status = http.StatusBadGateway
	}
	if r.retryAfter != "" {
		w.Header().Set("Retry-After", r.retryAfter)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, http.StatusText(status)) // the caller may have gone
}
