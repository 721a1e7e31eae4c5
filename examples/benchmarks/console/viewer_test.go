//go:build unix

package console

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/otel"
)

// viewer reads a console's stream over loopback, when it is there.
type viewer struct {
	t      *testing.T
	server *httptest.Server
	read   chan int64 // bytes, when it leaves
	body   io.Closer
	total  int64
}

// view makes a viewer that is there.
func view(t *testing.T, c *otel.Console) *viewer {
	t.Helper()
	v := &viewer{t: t, server: httptest.NewServer(c), read: make(chan int64, 1)}
	t.Cleanup(v.server.Close)
	v.resume()
	return v
}

func (v *viewer) resume() {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.server.URL, nil)
	require.NoError(v.t, err)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := v.server.Client().Do(req) //nolint:bodyclose // pause does
	require.NoError(v.t, err)
	v.body = resp.Body
	go func() {
		n, _ := io.Copy(io.Discard, resp.Body) // until it is closed
		v.read <- n
	}()
}

func (v *viewer) pause() {
	_ = v.body.Close()
	v.total += <-v.read
}

// close returns how many bytes were read in all; it is not there any more.
func (v *viewer) close() int64 { return v.total }
