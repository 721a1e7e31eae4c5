package postgresd

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
)

// Cutter stands between a program and the server as a network does that fails
// at the worst moment: of every so many COMMITs one is cut off, before the server
// gets it or before its answer arrives, as chance has it.
type Cutter struct {
	listener net.Listener
	server   string // address
	every    int64  // how many COMMITs pass for one that does not

	commits atomic.Int64
	all     sync.WaitGroup
	life    context.Context // of the connections
	end     context.CancelFunc
}

// NewCutter passes connections on to the address of a server. Of every COMMITs one
// is cut off, which is at least 1. Whoever gets one must close it.
func NewCutter(ctx context.Context, server string, every int64) (*Cutter, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &Cutter{listener: l, server: server, every: every}
	c.life, c.end = context.WithCancel(ctx)
	c.all.Go(c.accept)
	return c, nil
}

// Address is where it listens.
func (c *Cutter) Address() string { return c.listener.Addr().String() }

// Close ends all connections.
func (c *Cutter) Close() {
	_ = c.listener.Close()
	c.end()
	c.all.Wait()
}

func (c *Cutter) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.all.Go(func() { c.serve(client) })
	}
}

func (c *Cutter) serve(client net.Conn) {
	defer hush(client)
	var dialer net.Dialer
	server, err := dialer.DialContext(c.life, "tcp", c.server)
	if err != nil {
		return
	}
	defer hush(server)
	stop := context.AfterFunc(c.life, func() {
		hush(client)
		hush(server)
	})
	defer stop()
	var deaf atomic.Bool // answers are not passed on
	c.all.Go(func() {
		defer hush(client)
		_, _ = io.Copy(&ear{client, &deaf}, server)
	})
	c.forward(client, server, &deaf)
}

// forward passes on what the client says, up to the COMMIT that is cut off.
func (c *Cutter) forward(client, server net.Conn, deaf *atomic.Bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		said := buffer[:n]
		cut := bytes.Contains(said, []byte("commit\x00")) && c.commits.Add(1)%c.every == 0
		if cut && rand.N(2) == 0 {
			return
		}
		deaf.Store(cut)
		if _, e := server.Write(said); e != nil || err != nil {
			return
		}
	}
}

// ear hears the answers. The first that is not passed on ends the connection.
type ear struct {
	net.Conn

	deaf *atomic.Bool
}

func (e *ear) Write(answer []byte) (int, error) {
	if e.deaf.Load() {
		return 0, net.ErrClosed
	}
	return e.Conn.Write(answer)
}

func hush(conn net.Conn) { _ = conn.Close() } // it may be closed already
