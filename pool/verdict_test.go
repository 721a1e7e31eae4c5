package pool_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/pool"
)

func TestWhatCountsAsFailure(t *testing.T) {
	t.Parallel()
	status := func(code int, retryAfter string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if retryAfter != "" {
				w.Header().Set("Retry-After", retryAfter)
			}
			w.WriteHeader(code)
		}
	}
	dies := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusOK)
		io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	unreadable := func() io.Reader { return io.MultiReader(strings.NewReader("x"), errReader{}) }
	cases := []struct {
		name    string
		handler http.HandlerFunc
		body    func() io.Reader
		ejected bool
	}{
		{"500", status(500, ""), nil, true},
		{"502", status(502, ""), nil, true},
		{"504", status(504, ""), nil, true},
		{"503", status(503, ""), nil, true},
		{"503 with Retry-After", status(503, "1"), nil, false},
		{"429", status(429, ""), nil, false},
		{"404", status(404, ""), nil, false},
		{"501", status(501, ""), nil, false},
		{"body that dies", dies, nil, true},
		{"refused", nil, nil, true},
		{"reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, true},
		{"the caller's body", status(200, ""), unreadable, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				n.serve(addrA, says("a"))
				if c.handler != nil {
					n.serve(addrB, c.handler)
				}
				pt := newTransport(t, pool.TransportConfig{Outlier: &pool.OutlierConfig{}}, pool.WithBase(n.base()),
					pool.WithResolver(&names{list: []string{"192.0.2.1", "192.0.2.2"}}), pool.WithBalancer(pool.RoundRobin()))
				for range 20 {
					var body io.Reader
					if c.body != nil {
						body = c.body()
					}
					req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, site, body)
					if resp, err := pt.RoundTrip(req); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
				}
				require.Equal(t, c.ejected, statesOf(pt)[addrB] == pool.EndpointEjected)
				require.NotEqual(t, pool.EndpointEjected, statesOf(pt)[addrA])
			})
		})
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }
