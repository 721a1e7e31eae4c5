package lifetime

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/bufbuild/httplb"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/pool"
)

// maxLifetime is how long connections may live.
const maxLifetime = 100 * time.Millisecond

// contender is one way to have connections end. What it makes of base ends with
// stop.
type contender struct {
	name string
	wrap func(t *testing.T, base *http.Transport) (rt http.RoundTripper, stop func())
}

var (
	magnetar     = contender{"pool.Transport", wrapPool}
	closeConns   = contender{"net.Conn closed at its time", wrapClose}
	closeIdle    = contender{"CloseIdleConnections as often", wrapCloseIdle}
	loadBalancer = contender{"httplb", wrapLoadBalancer}
	plain        = contender{"http.Transport", wrapNothing}
)

func wrapPool(t *testing.T, base *http.Transport) (http.RoundTripper, func()) {
	cfg := pool.DefaultTransport()
	cfg.MaxLifetime = maxLifetime
	return newPool(t, cfg, base)
}

func wrapPoolAsItIs(t *testing.T, base *http.Transport) (http.RoundTripper, func()) {
	return newPool(t, pool.DefaultTransport(), base)
}

func newPool(t *testing.T, cfg pool.TransportConfig, base *http.Transport) (http.RoundTripper, func()) {
	pt, err := pool.NewTransport(cfg, pool.WithBase(base))
	require.NoError(t, err)
	return pt, func() { require.NoError(t, pt.Close()) }
}

func wrapClose(_ *testing.T, base *http.Transport) (http.RoundTripper, func()) {
	dial := base.DialContext
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil {
			time.AfterFunc(maxLifetime, func() { conn.Close() })
		}
		return conn, err
	}
	return base, base.CloseIdleConnections
}

func wrapCloseIdle(_ *testing.T, base *http.Transport) (http.RoundTripper, func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(maxLifetime)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				base.CloseIdleConnections()
			case <-done:
				return
			}
		}
	}()
	return base, func() {
		close(done)
		<-ended
		base.CloseIdleConnections()
	}
}

func wrapLoadBalancer(_ *testing.T, base *http.Transport) (http.RoundTripper, func()) {
	c := httplb.NewClient(
		httplb.WithDialer(base.DialContext),
		httplb.WithTLSConfig(base.TLSClientConfig, 5*time.Second),
		httplb.WithRoundTripperMaxLifetime(maxLifetime),
	)
	return c.Transport, func() { c.Close() }
}

func wrapNothing(_ *testing.T, base *http.Transport) (http.RoundTripper, func()) {
	return base, base.CloseIdleConnections
}
