package demo

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Server is an HTTP server on a port of its own on loopback.
type Server struct {
	URL string

	http  *http.Server
	ended chan struct{}
}

// Serve serves h. The server ends with Close.
func Serve(ctx context.Context, h http.Handler) (*Server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL:   "http://" + l.Addr().String(),
		http:  &http.Server{Handler: h, ReadHeaderTimeout: time.Second},
		ended: make(chan struct{}),
	}
	go func() {
		defer close(s.ended)
		_ = s.http.Serve(l) // it ends with Close
	}()
	return s, nil
}

// Close ends the server and its connections.
func (s *Server) Close() {
	_ = s.http.Close()
	<-s.ended
}
