package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
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

	http  *http.Server
	ended chan struct{}
}

// serve listens on a port of its own on loopback. The server ends with close.
func serve(ctx context.Context) (*server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://" + l.Addr().String(), ended: make(chan struct{})}
	s.mood.Store(&mood{status: http.StatusOK})
	mux := http.NewServeMux()
	mux.Handle("/magnetar", s.answer(&s.magnetar))
	mux.Handle("/bare", s.answer(&s.bare))
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() {
		defer close(s.ended)
		_ = s.http.Serve(l) // it ends with close
	}()
	return s, nil
}

// close ends the server and its connections.
func (s *server) close() {
	_ = s.http.Close()
	<-s.ended
}

func (s *server) answer(tries *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := tries.Add(1)
		m := *s.mood.Load()
		if m.hiccup > 0 && n%int64(m.hiccup) == 0 {
			m.status = http.StatusServiceUnavailable
		}
		if !sleep(r.Context(), m.delay) {
			return
		}
		w.WriteHeader(m.status)
		_, _ = io.WriteString(w, http.StatusText(m.status)) // the client may have gone
	}
}
