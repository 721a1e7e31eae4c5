package benchmarks

import (
	"net/http"
	"testing"

	"github.com/failsafe-go/failsafe-go/failsafehttp"

	"github.com/magnetar-go/magnetar/transport"
)

// A call that an open breaker refuses, through http.Client. The kit's breaker
// still lets its trials through, at most 20 a second.
func BenchmarkRefusal(b *testing.B) {
	cfg := transport.Default()
	cfg.Retry = nil // no backoff on the way to the opening
	for _, p := range []peer{
		{"bare", func(base http.RoundTripper) http.RoundTripper { return base }}, // answered, for comparison
		{"magnetar", func(base http.RoundTripper) http.RoundTripper { return transport.New(base, cfg) }},
		{"failsafehttp-breaker", func(base http.RoundTripper) http.RoundTripper {
			return failsafehttp.NewRoundTripper(base, failsafeBreaker())
		}},
		{"gobreaker", breakerOnly},
	} {
		client := p.client(stub{http.StatusServiceUnavailable})
		call := func() {
			if resp, err := client.Get(target); err == nil {
				swallow(resp.Body)
			}
		}
		for range 100 { // more than enough to open it
			call()
		}
		b.Run(p.name, func(b *testing.B) { measure(b, call) })
	}
}
