package main

import (
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// server is one of those behind the name. It can turn sick, and be killed.
type server struct {
	address  string // "ip:port"
	protocol string // as in ALPN
	cert     tls.Certificate

	sick     atomic.Bool
	conns    atomic.Int64 // open
	accepted atomic.Int64 // connections in all

	emptied atomic.Int64 // when the last open one had ended, in Unix nanoseconds

	http  *http.Server // nil: it does not run
	ended chan struct{}
}

// What the server takes to answer.
const (
	takesToRead   = 10 * time.Millisecond // on average
	takesToWrite  = 150 * time.Millisecond
	takesToReport = 700 * time.Millisecond
	takesToFail   = 20 * time.Millisecond
)

// start has the server listen on its address. It ends with kill.
func (s *server) start(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	s.serve(l)
	return nil
}

func (s *server) serve(l net.Listener) {
	var speaks http.Protocols
	speaks.SetHTTP1(s.protocol == "http/1.1")
	speaks.SetHTTP2(s.protocol == "h2")
	s.ended = make(chan struct{})
	s.http = &http.Server{
		Handler:           s,
		Protocols:         &speaks,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{s.cert}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: time.Second,
		ConnState:         s.count,
	}
	go func(h *http.Server, ended chan struct{}) {
		defer close(ended)
		_ = h.ServeTLS(l, "", "") // it ends with kill
	}(s.http, s.ended)
}

// kill ends the server and its connections, whatever is on them.
func (s *server) kill() {
	if s.http == nil {
		return
	}
	_ = s.http.Close()
	<-s.ended
	s.http = nil
}

func (s *server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
		s.accepted.Add(1)
	case http.StateClosed:
		if s.conns.Add(-1) == 0 {
			s.emptied.Store(time.Now().UnixNano())
		}
	}
}

// ServeHTTP answers after some time. Sick, it only takes what is posted, for
// later.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // the client may have gone
	status, takes := http.StatusOK, time.Duration((0.5+rand.Float64())*float64(takesToRead))
	switch {
	case r.Method == http.MethodPost:
		takes = takesToWrite
	case s.sick.Load():
		status, takes = http.StatusServiceUnavailable, takesToFail
	case r.URL.Path == report:
		takes = takesToReport
	}
	if demo.Sleep(r.Context(), takes) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, http.StatusText(status)) // here too
	}
}

// ip is the address without the port, and name what tells it from the others.
func (s *server) ip() string {
	ip, _, _ := net.SplitHostPort(s.address)
	return ip
}

func (s *server) name() string {
	ip := s.ip()
	return ip[strings.LastIndexByte(ip, '.'):]
}
