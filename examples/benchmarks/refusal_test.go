package benchmarks

import (
	"net/http"
	"testing"

	"github.com/magnetar-go/magnetar/transport"
)

// A call that an open breaker refuses, through http.Client. The kit's breaker
// still lets its trials through, at most 20 a second.
func BenchmarkRefusal(b *testing.B) {
	cfg := transport.Default()
	cfg.Retry = nil // no backoff on the way to the opening
	for _, p := range []peer{
		{"magnetar", func(base http.RoundTripper) http.RoundTripper { return transport.New(base, cfg) }},
		{"failsafehttp-retry+breaker", failsafeRetryBreaker},
		{"gobreaker", breakerOnly},
	} {
		client := p.client(stub{http.StatusServiceUnavailable})
		refused := 0
		call := func() {
			resp, err := client.Get(target)
			if err != nil {
				refused++
				return
			}
			swallow(resp.Body)
		}
		b.Run(p.name, func(b *testing.B) {
			for refused == 0 {
				call()
			}
			measure(b, call)
		})
	}
}
