package lifetime

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// protocol is one way to speak with the server.
type protocol struct {
	name  string
	start func(*httptest.Server)
}

var protocols = []protocol{
	{"h1", (*httptest.Server).Start},
	{"h1+TLS", (*httptest.Server).StartTLS},
	{"h2", func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.StartTLS()
	}},
}

// serve has a server that the base trusts.
func (p protocol) serve(t *testing.T, base *http.Transport) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(answer))
	p.start(s)
	t.Cleanup(s.Close)
	if s.TLS != nil {
		trusted := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		base.TLSClientConfig = &tls.Config{RootCAs: trusted}
	}
	return s.URL
}

var page = bytes.Repeat([]byte("magnetar"), 2<<10)

// answer answers some requests at once, some after a while, some piece by piece.
func answer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	switch r.URL.Path {
	case "/quick":
	case "/slow":
		demo.Sleep(r.Context(), 30*time.Millisecond)
	case "/posted":
		demo.Sleep(r.Context(), 10*time.Millisecond)
	case "/streamed":
		for range 3 {
			_, _ = w.Write(page)
			_ = http.NewResponseController(w).Flush()
			demo.Sleep(r.Context(), 7*time.Millisecond)
		}
	}
	_, _ = w.Write(page)
}
