//go:build linux

package nginx_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/pool"
	"github.com/magnetar-go/magnetar/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	keepAlive         = 2 * time.Second // of nginx
	keepAliveRequests = 100             // likewise
	underLoad         = 2500 * time.Millisecond
	reloads           = 250 * time.Millisecond // from one to the next
)

// A user has the chain; the other shows what it is there for. Both call the
// same nginx.
func TestNoIdempotentRequestFailsWhateverNginxDoesToConnections(t *testing.T) {
	cert, roots, err := demo.SelfSigned("127.0.0.1")
	require.NoError(t, err)
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			d, url := serve(t, p, cert)
			users := []*user{
				newUser(t, "pool.Transport and transport.Default()", roots, transportDefault),
				newUser(t, "pool.Transport alone", roots, alone),
			}
			for _, u := range users {
				u.url, u.proto = url, p.says
			}
			reloaded := reloadUnderLoad(t, d, users)
			for _, u := range users {
				require.LessOrEqual(t, u.conns.dialled.Load(), max(u.calls/10, needed(reloaded, u.calls)), u)
			}
			all(users, func(u *user) { u.dawdle(t.Context()) })
			for _, u := range users {
				t.Log(u)
				require.LessOrEqual(t, u.conns.most.Load(), int64(2*idlers), u)
			}
			require.Zero(t, users[0].failed, users[0])
			require.Greater(t, users[0].calls, int64(200))
		})
	}
}

// needed is how many connections nginx itself has a user dial: each reload ends
// those of all workers, and of what is dialled while it does, and so does the
// last request that a connection may carry. A slow machine makes so few calls
// that it is more than a tenth of them.
func needed(reloaded, calls int64) int64 { return 2*workers*(reloaded+1) + calls/keepAliveRequests }

// reloadUnderLoad returns how many times it did.
func reloadUnderLoad(t *testing.T, d *daemon.Daemon, users []*user) (reloaded int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), underLoad)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { all(users, func(u *user) { u.hurry(ctx) }) })
	for demo.Sleep(ctx, reloads) {
		d.Signal(syscall.SIGHUP)
		reloaded++
	}
	wg.Wait()
	return reloaded
}

func all(users []*user, do func(*user)) {
	var wg sync.WaitGroup
	for _, u := range users {
		wg.Go(func() { do(u) })
	}
	wg.Wait()
}

// newUser has a pool of its own, whose connections are gone with it.
func newUser(t *testing.T, name string, roots *x509.CertPool, around func(http.RoundTripper) http.RoundTripper) *user {
	t.Helper()
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	u := &user{name: name, conns: &connections{}}
	u.conns.count(base)
	pt, err := pool.NewTransport(pool.DefaultTransport(), pool.WithBase(base))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, pt.Close())
		require.Zero(t, u.conns.open.Load(), "connections are left")
	})
	u.client = &http.Client{Transport: around(pt)}
	return u
}

func transportDefault(base http.RoundTripper) http.RoundTripper {
	return transport.New(base, transport.Default())
}

func alone(base http.RoundTripper) http.RoundTripper { return base }
