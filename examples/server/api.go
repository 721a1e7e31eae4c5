package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// api is what the service is for. Its handlers know nothing of the chain but
// that a context may end.
type api struct {
	takes    time.Duration   // to look up an item
	report   time.Duration   // to make a report
	every    time.Duration   // between two events
	stopping context.Context // ends when streams are to end
	draining func() bool
}

type route struct {
	pattern string // as both routers write it
	handler http.Handler
}

func (a *api) routes() []route {
	return []route{
		{"/items/{id}", http.HandlerFunc(a.item)},
		{"/reports/{id}", http.HandlerFunc(a.makeReport)},
		{"/events", http.HandlerFunc(a.events)},
	}
}

func (a *api) health() []route {
	return []route{
		{"/healthz", http.HandlerFunc(a.healthy)},
		{"/readyz", http.HandlerFunc(a.ready)},
	}
}

func (a *api) item(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if id == "0" {
		http.Error(w, "no such item", http.StatusNotFound)
		return
	}
	if demo.Sleep(r.Context(), a.takes) {
		answer(w, map[string]string{"item": id})
	}
}

// makeReport takes long. When its time is up it returns, and the chain answers.
func (a *api) makeReport(w http.ResponseWriter, r *http.Request) {
	if demo.Sleep(r.Context(), a.report) {
		answer(w, map[string]string{"report": r.PathValue("id")})
	}
}

func answer(w http.ResponseWriter, v map[string]string) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "no answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client may have gone
}

// events is a stream until the client goes or the server stops.
func (a *api) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	ticks := time.NewTicker(a.every)
	defer ticks.Stop()
	for n := 1; ; n++ {
		if _, err := fmt.Fprintf(w, "id: %d\ndata: tick\n\n", n); err != nil {
			return
		}
		if rc.Flush() != nil {
			return
		}
		select {
		case <-ticks.C:
		case <-r.Context().Done():
			return
		case <-a.stopping.Done():
			return
		}
	}
}

// healthy: the process answers.
func (a *api) healthy(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// ready: it wants to be sent requests.
func (a *api) ready(w http.ResponseWriter, _ *http.Request) {
	if a.draining() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
