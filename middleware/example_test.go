package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-chi/chi/v5"

	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

func hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }

func Example() {
	r := chi.NewRouter()
	r.Use(shed.Deadline(shed.DeadlineConfig{Max: 10 * time.Second}))
	r.Use(shed.RateLimit(policy.RateLimiterConfig{Limit: 100, Per: time.Second}, shed.ByPeerIP))
	r.Use(shed.Shed(policy.ConcurrencyConfig{})) // finds out how much there is room for
	r.Get("/", hello)

	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Body, w.Header().Get("Ratelimit"))
	// Output: 200 hello "default";r=99;t=1
}

func ExampleWithPriority() {
	r := chi.NewRouter()
	r.Use(shed.Shed(policy.ConcurrencyConfig{},
		shed.WithPriority(func(r *http.Request) policy.Priority {
			if r.URL.Path == "/checkout" {
				return policy.Critical
			}
			return policy.Normal
		}),
		shed.WithCohort(func(r *http.Request) string { return r.Header.Get("X-Tenant") })))
	r.Post("/checkout", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, policy.PriorityFromContext(r.Context()))
	})

	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/checkout", nil))
	fmt.Println(w.Body)
	// Output: critical
}
