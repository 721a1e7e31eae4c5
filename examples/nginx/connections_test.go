//go:build linux

package nginx_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// connections counts those of a base.
type connections struct{ dialled, open, most atomic.Int64 }

// count makes t count what it dials.
func (c *connections) count(t *http.Transport) {
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c.dialled.Add(1)
		open := c.open.Add(1)
		for most := c.most.Load(); open > most && !c.most.CompareAndSwap(most, open); most = c.most.Load() {
		}
		return &counted{Conn: conn, of: c}, nil
	}
}

type counted struct {
	net.Conn

	of     *connections
	closed sync.Once
}

func (c *counted) Close() error {
	c.closed.Do(func() { c.of.open.Add(-1) })
	return c.Conn.Close()
}
