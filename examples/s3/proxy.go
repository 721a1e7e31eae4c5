package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// proxy stands between the client and the server, and makes the faults that a
// real server makes too seldom. What it lets through reaches the server as the
// client sent it, for its signature names every header and the host.
type proxy struct {
	url     string
	server  *http.Server
	onward  *httputil.ReverseProxy
	closing context.Context
	close   func()

	mu sync.Mutex
	// Guarded by mu:
	came, passed int
	plan         func(*http.Request) fault
}

// startProxy has it stand before the server at a URL.
func startProxy(ctx context.Context, server string, cert tls.Certificate, roots *x509.CertPool) (*proxy, error) {
	to, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	base.DisableCompression = true
	p := &proxy{url: "https://" + l.Addr().String()}
	p.closing, p.close = context.WithCancel(context.WithoutCancel(ctx))
	p.onward = &httputil.ReverseProxy{
		Transport: base,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, _ error) { reset(r) },
	}
	p.server = &http.Server{
		Handler: p, ReadHeaderTimeout: 5 * time.Second, ErrorLog: silent, Protocols: new(http.Protocols),
		TLSConfig:   &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	p.server.Protocols.SetHTTP1(true) // as S3
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.server.ServeTLS(l, "", "") // it ends with stop
	}()
	stop := p.close
	p.close = func() {
		stop()
		_ = p.server.Close()
		<-ended
		base.CloseIdleConnections()
	}
	return p, nil
}

// Close ends the proxy and every connection.
func (p *proxy) Close() { p.close() }

// play has requests meet the faults of a plan; nil lets all through. It counts
// anew.
func (p *proxy) play(plan func(*http.Request) fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.came, p.passed, p.plan = 0, 0, plan
}

// counts tells how many requests came, and how many of them the server got.
func (p *proxy) counts() (came, passed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.came, p.passed
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := p.meets(r)
	if f == nil {
		p.pass(w, r)
		return
	}
	f(p, w, r)
}

func (p *proxy) meets(r *http.Request) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.came++
	if p.plan == nil {
		return nil
	}
	return p.plan(r)
}

// pass hands the request on to the server.
func (p *proxy) pass(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.passed++
	p.mu.Unlock()
	p.onward.ServeHTTP(w, r)
}

type connKey struct{}

// reset ends the connection of a request by RST, whatever is under way on it.
func reset(r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(*tls.Conn); ok {
		if raw, ok := c.NetConn().(*net.TCPConn); ok {
			_ = raw.SetLinger(0) // or else it is a FIN, which is as well
		}
		_ = c.NetConn().Close()
	}
	panic(http.ErrAbortHandler)
}
