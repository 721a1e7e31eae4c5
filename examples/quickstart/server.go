package main

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// mood is how the server answers.
type mood struct {
	status int
	delay  time.Duration
	hiccup int // one in so many answers is a 503; zero: none
}

// server counts the tries that reach it, by client.
type server struct {
	url      string
	mood     atomic.Pointer[mood]
	magnetar atomic.Int64
	bare     atomic.Int64
	close    func()
}

// serve listens on a port of its own on loopback. The server ends with close.
func serve(ctx context.Context) (*server, error) {
	s := &server{}
	s.mood.Store(&mood{status: http.StatusOK})
	mux := http.NewServeMux()
	mux.Handle("/magnetar", s.answer(&s.magnetar))
	mux.Handle("/bare", s.answer(&s.bare))
	on, err := demo.Serve(ctx, mux)
	if err != nil {
		return nil, err
	}
	s.url, s.close = on.URL, on.Close
	return s, nil
}

func (s *server) answer(tries *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := tries.Add(1)
		m := *s.mood.Load()
		if m.hiccup > 0 && n%int64(m.hiccup) == 0 {
			m.status = http.StatusServiceUnavailable
		}
		if !demo.Sleep(r.Context(), m.delay) {
			return
		}
		w.WriteHeader(m.status)
		_, _ = io.WriteString(w, http.StatusText(m.status)) // the client may have gone
	}
}
