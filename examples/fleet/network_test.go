//go:build linux

package main

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// network is what is between a client and its server, on which answers take a while.
type network struct {
	address string // for the client
	server  string
	delay   atomic.Int64
	cut     context.Context
	copies  sync.WaitGroup
}

func startNetwork(t *testing.T, server string) *network {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	cut, end := context.WithCancel(context.Background())
	l := &network{address: listener.Addr().String(), server: server, cut: cut}
	l.copies.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			l.copies.Go(func() { l.connect(client) })
		}
	})
	t.Cleanup(func() {
		end()
		_ = listener.Close()
		l.copies.Wait()
	})
	return l
}

// slowDown lets each answer take so much longer from now on.
func (l *network) slowDown(by time.Duration) { l.delay.Store(int64(by)) }

func (l *network) connect(client net.Conn) {
	defer client.Close()
	var d net.Dialer
	server, err := d.DialContext(l.cut, "tcp", l.server)
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(l.cut, func() {
		_ = client.Close()
		_ = server.Close()
	})()
	l.copies.Go(func() {
		defer server.Close()
		l.copy(server, client, func() time.Duration { return 0 })
	})
	l.copy(client, server, func() time.Duration { return time.Duration(l.delay.Load()) })
}

func (l *network) copy(to, from net.Conn, delay func() time.Duration) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if d := delay(); d > 0 {
			select {
			case <-time.After(d):
			case <-l.cut.Done():
				return
			}
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
