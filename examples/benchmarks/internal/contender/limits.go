package contender

import (
	"net/http"
	"time"

	"github.com/platinummonkey/go-concurrency-limits/core"
	"github.com/platinummonkey/go-concurrency-limits/limit"
	"github.com/platinummonkey/go-concurrency-limits/limiter"
	"github.com/platinummonkey/go-concurrency-limits/strategy"
)

// AIMD lowers its limit on drops alone.
func AIMD() core.Limit { return limit.NewDefaultAIMDLimit("", nil) }

// Vegas goes by the queue that latencies tell of.
func Vegas() core.Limit { return limit.NewDefaultVegasLimit("", nil, nil) }

// Gradient2 goes by how latencies of late compare with those of long.
func Gradient2() core.Limit { return limit.NewDefaultGradient2Limit("", nil, nil) }

// Limits is a limiter of go-concurrency-limits with its defaults. It has no
// handler of its own for net/http; a request whose client has gone is dropped.
func Limits(algorithm func() core.Limit) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		l := newLimiter(algorithm())
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			listener, ok := l.Acquire(r.Context())
			if !ok {
				http.Error(w, "too many requests", http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(w, r)
			if r.Context().Err() != nil {
				listener.OnDropped()
				return
			}
			listener.OnSuccess()
		})
	}
}

func newLimiter(l core.Limit) core.Limiter {
	const window, threshold, samples = time.Second, 100 * time.Microsecond, 100 // as by default
	d, err := limiter.NewDefaultLimiter(l, window.Nanoseconds(), window.Nanoseconds(), threshold.Nanoseconds(), samples,
		strategy.NewSimpleStrategy(l.EstimatedLimit()), limit.NoopLimitLogger{}, core.EmptyMetricRegistryInstance)
	if err != nil {
		panic(err)
	}
	return d
}
