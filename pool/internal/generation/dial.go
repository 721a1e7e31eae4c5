package generation

import (
	"context"
	"errors"
	"net"
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
	c, err := g.make(ctx, network, addr)
	if err != nil {
		g.settle()
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
// share: not for one known to speak HTTP/1, which is also what an upgrade asks
// for.
func (g *generation) turn(ctx context.Context, x *Exchange) (*turn, error) {
	if x == nil || !g.mayShare() || upgrades(x.Request) {
		return nil, nil
	}
	if !g.clear && x.Request.URL.Scheme != "https" {
		return nil, nil
	}
	return g.gate.wait(ctx, x)
}

// mayShare reports whether a connection may carry several exchanges at a time.
func (g *generation) mayShare() bool { return g.shared && g.set.protocol.Load() != http1 }
