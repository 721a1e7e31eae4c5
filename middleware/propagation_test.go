package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// inProcess is a handler as the base of a transport.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	server := httptest.NewRequest(r.Method, r.URL.String(), r.Body)
	server.Header = r.Header
	p.ServeHTTP(w, server)
	return w.Result(), nil
}

func TestWhatTransportSendsOnIsWhatTheMiddlewareReads(t *testing.T) {
	for _, header := range []string{"grpc-timeout", "X-Envoy-Expected-Rq-Timeout-Ms", "X-Time-Left"} {
		for _, level := range []policy.Priority{policy.Bulk, policy.Low, policy.Normal, policy.Critical} {
			synctest.Test(t, func(t *testing.T) {
				var got policy.Priority
				var left time.Duration
				read := middleware.Priority(everybody, middleware.WithPriorityHeader("X-Priority"))
				bound := middleware.Deadline(middleware.DeadlineConfig{Headers: []string{header}}, everybody)
				h := read(bound(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					got = policy.PriorityFromContext(r.Context())
					d, _ := r.Context().Deadline()
					left = time.Until(d)
				})))
				rt := transport.New(inProcess{h}, transport.Default(),
					transport.WithPropagation(transport.Propagation{Priority: "X-Priority", Deadline: header}))
				ctx, cancel := context.WithTimeout(policy.ContextWithPriority(t.Context(), level), 1234*time.Millisecond)
				defer cancel()
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://peer.test/", nil)
				require.NoError(t, err)
				resp, err := rt.RoundTrip(req)
				require.NoError(t, err)
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				require.Equal(t, level, got)
				require.Equal(t, 1234*time.Millisecond, left)
			})
		}
	}
}
