package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// fleet is the servers behind the name, and what DNS says of them.
type fleet struct {
	servers []*server
	url     string
	named   atomic.Pointer[[]string]

	killed, left time.Time     // when that happened to a server
	stayed       int64         // connections of the one that had left, when it returned
	drained      time.Duration // how long the last of them took to end
}

// host is the name. There is no such domain: only the resolver knows it.
const host = "shop.test"

var errNoPort = errors.New("no port is free on all of 127.0.0.11 to 127.0.0.14 (only Linux gives all of 127.0.0.0/8 to loopback)")

// newFleet starts two servers that speak HTTP/2 and two that speak HTTP/1.1, all
// with TLS, on addresses of their own with the same port.
func newFleet(ctx context.Context, cert tls.Certificate) (*fleet, error) {
	for range 10 {
		if f := startFleet(ctx, cert); f != nil {
			return f, nil
		}
	}
	return nil, errNoPort
}

func startFleet(ctx context.Context, cert tls.Certificate) *fleet {
	f := &fleet{}
	port := "0"
	for _, s := range []*server{
		{address: "127.0.0.11", protocol: "h2"},
		{address: "127.0.0.12", protocol: "h2"},
		{address: "127.0.0.13", protocol: "http/1.1"},
		{address: "127.0.0.14", protocol: "http/1.1"},
	} {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(s.address, port))
		if err != nil {
			f.close()
			return nil
		}
		s.address, s.cert = l.Addr().String(), cert
		_, port, _ = net.SplitHostPort(s.address)
		s.serve(l)
		f.servers = append(f.servers, s)
	}
	f.url = "https://" + net.JoinHostPort(host, port)
	f.name(f.servers...)
	return f
}

// name has DNS name these servers, and no other.
func (f *fleet) name(servers ...*server) {
	var addresses []string
	for _, s := range servers {
		addresses = append(addresses, s.address)
	}
	f.named.Store(&addresses)
}

// Resolve makes the fleet a [pool.Resolver].
func (f *fleet) Resolve(context.Context, string) ([]string, error) { return *f.named.Load(), nil }

func (f *fleet) close() {
	for _, s := range f.servers {
		s.kill()
	}
}
