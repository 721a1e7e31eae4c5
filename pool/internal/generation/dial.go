package generation

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

var (
	errLeft     = errors.New("the connections of this time have been left")
	errUnwanted = errors.New("the request has got another connection") // heard by nobody
	errNoConn   = errors.New("the dialer returned neither a connection nor an error")
)

// dial makes a connection to the endpoint, whatever the address that net/http
// asks for. It runs on a goroutine of net/http's, which may outlive the exchange
// that it is made for.
func (g *generation) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if !g.dialling() {
		return nil, errLeft
	}
	var c *conn
	defer func() {
		if c == nil { // also where the base's dialer ends the goroutine
			g.settle()
		}
	}()
	c, err := g.make(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (g *generation) make(ctx context.Context, network, addr string) (*conn, error) {
	x, _ := ctx.Value(exchangeKey{}).(*Exchange)
	if x != nil {
		x.dialled.Store(true)
	}
	t, err := g.turn(ctx, x)
	if err != nil {
		return nil, err
	}
	if g.set.config.Address != "" {
		addr = g.set.config.Address
	}
	began := time.Now()
	nc, err := g.connect(ctx, network, addr)
	took := time.Since(began)
	if watch := g.set.config.Watch; watch.Wants(ctx) {
		watch.Tell(ctx, policy.Decision{Action: policy.ActionCreate, Began: began, Took: took, Err: err})
	}
	if err != nil {
		g.gate.failed(t)
		return nil, err
	}
	g.set.idle.connected(took)
	now := clock()
	c := &conn{Conn: nc, generation: g, born: now, expires: g.set.config.expiry(now)}
	if !g.track(c) {
		_ = nc.Close() // on the dial's own goroutine: it may take its time
		return nil, errLeft
	}
	g.gate.connected(t, c)
	return c, nil
}

// connect dials with what the base has for it, for no longer than the generation
// lives.
func (g *generation) connect(ctx context.Context, network, addr string) (nc net.Conn, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.dying, cancel)()
	switch {
	case g.dialContext != nil:
		nc, err = g.dialContext(ctx, network, addr)
	case g.dialPlain != nil:
		nc, err = g.dialPlain(network, addr)
	default:
		nc, err = new(net.Dialer).DialContext(ctx, network, addr)
	}
	if nc == nil && err == nil {
		err = errNoConn
	}
	return nc, err
}

// turn waits for the gate, where the dial may lead to a connection that others
// share: not for one known to speak HTTP/1. The exchange may be over, and its
// request the caller's again.
func (g *generation) turn(ctx context.Context, x *Exchange) (*turn, error) {
	if x == nil || !x.shares || !g.mayShare() {
		return nil, nil
	}
	return g.gate.wait(ctx, x)
}

// shares reports whether the request can go out on a connection that others
// share, which an upgrade cannot.
func (g *generation) shares(r *http.Request) bool {
	return g.shared && (g.clear || r.URL.Scheme == "https") && !upgrades(r)
}

// mayShare reports whether a connection may carry several exchanges at a time.
func (g *generation) mayShare() bool { return g.shared && g.set.protocol.Load() != http1 }
