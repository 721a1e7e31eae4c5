// Package contender has the ways to limit what a server takes on that the
// benchmarks compare, each as a middleware with its defaults.
package contender

import (
	"net/http"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"

	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

// Contender is one of them.
type Contender struct {
	Name string
	// Wrap guards a handler anew: nothing is shared by what it returns.
	Wrap func(http.Handler) http.Handler
}

// Server is what those must be told of that do not find it out.
type Server struct {
	Slots int // requests that it can serve at a time
	Rate  int // requests that it can serve in a second
}

// All are the contenders for a server, the kit's first.
func All(s Server) []Contender {
	return []Contender{
		{"magnetar Shed", Shed},
		{"chi Throttle, right limit", Throttle(s.Slots)},
		{"chi Throttle, 4× too high", Throttle(4 * s.Slots)},
		{"httprate, right rate", limitAll(s.Rate)},
		{"failsafe adaptive", Failsafe},
		{"go-concurrency-limits AIMD", Limits(AIMD)},
		{"go-concurrency-limits Vegas", Limits(Vegas)},
		{"go-concurrency-limits Gradient2", Limits(Gradient2)},
	}
}

// Priority is the header by which the contenders that know priorities are told
// of a critical request.
const Priority = "X-Priority"

// Prioritised are the contenders that know priorities, and two that do not.
func Prioritised(s Server) []Contender {
	return []Contender{
		{"magnetar Shed", shed.Shed(policy.ConcurrencyConfig{}, shed.WithPriority(priorityOf))},
		{"magnetar Shed, no priorities", Shed},
		{"chi Throttle, right limit", Throttle(s.Slots)},
		{"failsafe adaptive, priorities", failsafeLevels},
	}
}

// Shed is the kit's, with no configuration.
func Shed(next http.Handler) http.Handler {
	return shed.Shed(policy.ConcurrencyConfig{})(next)
}

func priorityOf(r *http.Request) policy.Priority {
	if critical(r) {
		return policy.Critical
	}
	return policy.Normal
}

func critical(r *http.Request) bool { return r.Header.Get(Priority) == "critical" }

// Throttle is chi's, with no backlog.
func Throttle(limit int) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return middleware.Throttle(limit)(next) }
}

// limitAll is httprate's limit with one key for all.
func limitAll(rate int) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return httprate.LimitBy(rate, time.Second, everybody)(next)
	}
}

func everybody(*http.Request) (string, error) { return "everybody", nil }
