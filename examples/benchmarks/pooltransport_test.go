package benchmarks

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/bufbuild/httplb"

	"github.com/magnetar-go/magnetar/pool"
)

// manager is one way to keep connections.
type manager struct {
	name string
	wrap func(b *testing.B, base *http.Transport) http.RoundTripper
}

var managers = []manager{
	{"http.Transport", func(b *testing.B, base *http.Transport) http.RoundTripper {
		b.Cleanup(base.CloseIdleConnections)
		return base
	}},
	{"pool.Transport", managePool},
	{"httplb", manageBalanced},
}

func managePool(b *testing.B, base *http.Transport) http.RoundTripper {
	pt, err := pool.NewTransport(pool.DefaultTransport(), pool.WithBase(base))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = pt.Close() })
	return pt
}

// manageBalanced is httplb with its defaults: system DNS, round robin, no health
// checks.
func manageBalanced(b *testing.B, base *http.Transport) http.RoundTripper {
	c := httplb.NewClient(httplb.WithTLSConfig(base.TLSClientConfig, 5*time.Second))
	b.Cleanup(func() { _ = c.Close() })
	return c.Transport
}

// Round trips over loopback, on connections that are not near their expiry.
func BenchmarkConnections(b *testing.B) { roundTrips(b, (*httptest.Server).Start, measure) }
func BenchmarkConnectionsParallel(b *testing.B) {
	roundTrips(b, (*httptest.Server).Start, measureParallel)
}
func BenchmarkConnectionsH2(b *testing.B)         { roundTrips(b, startH2, measure) }
func BenchmarkConnectionsH2Parallel(b *testing.B) { roundTrips(b, startH2, measureParallel) }

func startH2(s *httptest.Server) {
	s.EnableHTTP2 = true
	s.StartTLS()
}

func roundTrips(b *testing.B, start func(*httptest.Server), measure func(*testing.B, func())) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(content))
	}))
	start(s)
	defer s.Close()
	for _, m := range managers {
		b.Run(m.name, func(b *testing.B) {
			base := http.DefaultTransport.(*http.Transport).Clone()
			if s.TLS != nil {
				base.TLSClientConfig = &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
			}
			client := &http.Client{Transport: m.wrap(b, base)}
			measure(b, get(b, client, s.URL))
		})
	}
}
