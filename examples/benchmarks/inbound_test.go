package benchmarks

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/timeout"
	chi "github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"
	"github.com/platinummonkey/go-concurrency-limits/core"
	"github.com/platinummonkey/go-concurrency-limits/limit"

	"github.com/magnetar-go/magnetar/examples/benchmarks/internal/contender"
	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

// around is one way to guard a handler.
type around struct {
	name string
	wrap func(http.Handler) http.Handler
}

func unguarded(next http.Handler) http.Handler { return next }

// The limits of BenchmarkInboundAdmitted are asked and never met.
const roomy = 1000

// A request that is let in.
func BenchmarkInboundAdmitted(b *testing.B) {
	benchInbound(b, http.HandlerFunc(nothing),
		around{"bare", unguarded},
		around{"magnetar", contender.Shed},
		around{"magnetar-fixed", middleware.Shed(policy.ConcurrencyConfig{Limit: roomy})},
		around{"magnetar-priority", middleware.Shed(policy.ConcurrencyConfig{},
			middleware.WithPriority(func(*http.Request) policy.Priority { return policy.Critical }))},
		around{"chi-throttle", contender.Throttle(roomy)},
		around{"failsafe-adaptive", contender.Failsafe},
		around{"limits-aimd", contender.Limits(contender.AIMD)},
		around{"limits-vegas", contender.Limits(contender.Vegas)},
		around{"limits-gradient2", contender.Limits(contender.Gradient2)},
	)
}

// A request that is refused: one other is in, and the limit is one.
func BenchmarkInboundRefused(b *testing.B) {
	var all []around
	for _, a := range []around{
		{"magnetar", middleware.Shed(policy.ConcurrencyConfig{Limit: 1})},
		{"chi-throttle", contender.Throttle(1)},
		{"failsafe-adaptive", failsafeOne},
		{"limits", contender.Limits(func() core.Limit { return limit.NewFixedLimit("", 1, nil) })},
	} {
		full, leave := occupied(a)
		defer leave()
		all = append(all, full)
	}
	benchInbound(b, http.HandlerFunc(nothing), append([]around{{"bare", unguarded}}, all...)...)
}

func failsafeOne(next http.Handler) http.Handler {
	l := adaptivelimiter.NewBuilder[*http.Response]().WithLimits(1, 1, 1).Build()
	return failsafehttp.NewHandler(next, l)
}

// occupied has a request in a's handler until leave is called.
func occupied(a around) (full around, leave func()) {
	in, out, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	h := a.wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(in)
		<-out
	}))
	go func() {
		defer close(left)
		h.ServeHTTP(nowhere{}, newInbound())
	}()
	<-in
	full = around{a.name, func(http.Handler) http.Handler { return h }}
	return full, func() { close(out); <-left }
}

// Quotas by the peer's address.
func BenchmarkInboundQuotaAdmitted(b *testing.B) {
	limit := policy.RateLimiterConfig{Limit: manyPerSecond}
	benchInbound(b, http.HandlerFunc(nothing),
		around{"bare", unguarded},
		around{"magnetar", middleware.RateLimit(limit, middleware.ByPeerIP)},
		around{"magnetar-no-fields", middleware.RateLimit(limit, middleware.ByPeerIP, middleware.WithoutFields())},
		around{"httprate", httprate.LimitBy(manyPerSecond, time.Second, byPeerIP)},
	)
}

func BenchmarkInboundQuotaRefused(b *testing.B) {
	limit := policy.RateLimiterConfig{Limit: 1, Per: 24 * time.Hour}
	benchInbound(b, http.HandlerFunc(nothing),
		around{"bare", unguarded},
		around{"magnetar", middleware.RateLimit(limit, middleware.ByPeerIP)},
		around{"httprate", httprate.LimitBy(1, 24*time.Hour, byPeerIP)},
	)
}

// byPeerIP is [middleware.ByPeerIP] for httprate, whose own KeyByIP is deprecated.
func byPeerIP(r *http.Request) (string, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return httprate.CanonicalizeIP(host), err
}

// A deadline. Those of the kit and failsafe-go see to it that the client is
// told; http.TimeoutHandler buffers the answer for that, and runs the handler on
// another goroutine.
func BenchmarkInboundDeadline(b *testing.B) {
	const most = 10 * time.Second
	benchInbound(b, http.HandlerFunc(nothing),
		around{"bare", unguarded},
		around{"magnetar", middleware.Deadline(middleware.DeadlineConfig{Max: most})},
		around{"chi-timeout", chi.Timeout(most)},
		around{"http-timeouthandler", func(next http.Handler) http.Handler { return http.TimeoutHandler(next, most, "late") }},
		around{"failsafe-timeout", func(next http.Handler) http.Handler {
			return failsafehttp.NewHandler(next, timeout.New[*http.Response](most))
		}},
	)
}

// The whole chain: deadline, quota, limit.
func BenchmarkInboundChain(b *testing.B) {
	const most = 10 * time.Second
	benchInbound(b, http.HandlerFunc(nothing),
		around{"bare", unguarded},
		around{"magnetar", func(next http.Handler) http.Handler {
			shed := middleware.Shed(policy.ConcurrencyConfig{})
			quota := middleware.RateLimit(policy.RateLimiterConfig{Limit: manyPerSecond}, middleware.ByPeerIP)
			return middleware.Deadline(middleware.DeadlineConfig{Max: most})(quota(shed(next)))
		}},
		around{"chi+httprate", func(next http.Handler) http.Handler {
			quota := httprate.LimitBy(manyPerSecond, time.Second, byPeerIP)
			return chi.Timeout(most)(quota(chi.Throttle(roomy)(next)))
		}},
	)
}

// benchInbound serves requests through each, one after the other and in
// parallel.
func benchInbound(b *testing.B, h http.Handler, all ...around) {
	b.Helper()
	for _, a := range all {
		guarded := a.wrap(h)
		b.Run("serial/"+a.name, func(b *testing.B) { measure(b, serve(guarded)) })
	}
	for _, a := range all {
		guarded := a.wrap(h)
		b.Run("parallel/"+a.name, func(b *testing.B) { measureEach(b, func() func() { return serve(guarded) }) })
	}
}

// serve serves one request again and again.
func serve(h http.Handler) func() {
	r, w := newInbound(), nowhere{}
	return func() {
		clear(w)
		h.ServeHTTP(w, r)
	}
}

func newInbound() *http.Request {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, http.NoBody)
	if err != nil {
		panic(err)
	}
	r.RemoteAddr = "192.0.2.1:50000"
	return r
}

func nothing(http.ResponseWriter, *http.Request) {}

// nowhere is a ResponseWriter that costs nothing but its header.
type nowhere http.Header

func (w nowhere) Header() http.Header         { return http.Header(w) }
func (w nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (w nowhere) WriteHeader(int)             {}
