package console

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/otel"
)

// viewer reads a console's stream over loopback.
type viewer struct {
	server *httptest.Server
	read   chan int64 // bytes, at the end
	body   io.Closer
}

func view(t *testing.T, c *otel.Console) viewer {
	t.Helper()
	v := viewer{server: httptest.NewServer(c), read: make(chan int64, 1)}
	t.Cleanup(v.server.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.server.URL, nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := v.server.Client().Do(req) //nolint:bodyclose // close does
	require.NoError(t, err)
	v.body = resp.Body
	go func() {
		n, _ := io.Copy(io.Discard, resp.Body) // until it is closed
		v.read <- n
	}()
	return v
}

// close leaves, and returns how many bytes were sent.
func (v viewer) close() int64 {
	_ = v.body.Close()
	return <-v.read
}
