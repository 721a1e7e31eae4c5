package transport_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/transport"
)

func TestSmoke(t *testing.T) {
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		n++
		if n < 3 {
			w.WriteHeader(503)
			return
		}
		io.WriteString(w, "ok"+string(b))
	}))
	defer srv.Close()
	c := &http.Client{Transport: transport.New(nil, transport.Default())}
	defer c.CloseIdleConnections()
	req, _ := http.NewRequest("PUT", srv.URL, strings.NewReader("hello"))
	resp, err := c.Do(req)
	require.NoError(t, err)
	b, _ := io.ReadAll(resp.Body)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "okhello", string(b))
	require.Len(t, transport.Attempts(resp), 3)
}
