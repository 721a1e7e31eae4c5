package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

func ExampleRateLimit() {
	r := chi.NewRouter()
	r.Use(middleware.RateLimit(policy.RateLimiterConfig{Limit: 2, Per: time.Hour}, middleware.ByPeerIP))
	r.Get("/", func(w http.ResponseWriter, r *http.Request) {})

	for range 3 {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		fmt.Println(w.Code, w.Header().Get("Ratelimit"))
	}
	// Output:
	// 200 "default";r=1;t=1800
	// 200 "default";r=0;t=1800
	// 429 "default";r=0;t=1800
}

func ExampleNewQuota() {
	quota, err := middleware.NewQuota(
		policy.RateLimiterConfig{Limit: 10, Per: time.Second}, middleware.ByHeader("X-Tenant"),
		middleware.WithName("burst"),
		middleware.WithQuota("daily", policy.RateLimiterConfig{Limit: 1000, Per: 24 * time.Hour}),
	)
	if err != nil {
		panic(err)
	}
	h := quota.Handler(http.NotFoundHandler())

	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	fmt.Println(w.Header().Get("Ratelimit-Policy"))
	fmt.Println(quota.Update(policy.RateLimiterConfig{Limit: -1}))
	fmt.Println(quota.Stats().Admitted, quota.Stats().EmptyKeys)
	// Output:
	// "burst";q=10;w=1, "daily";q=1000;w=86400
	// limit: -1: must be ≥ 1
	// 1 1
}

func ExampleByClientIP() {
	r := chi.NewRouter()
	r.Use(chimiddleware.ClientIPFromXFF("192.0.2.0/24")) // where the proxies are
	r.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Println(middleware.ByClientIP(r))
		})
	})
	r.Get("/", func(w http.ResponseWriter, r *http.Request) {})

	req := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	req.RemoteAddr = "192.0.2.1:4711"
	req.Header.Set("X-Forwarded-For", "198.51.100.1, 203.0.113.9") // the left one is the client's own
	r.ServeHTTP(httptest.NewRecorder(), req)
	// Output: 203.0.113.9
}

func ExampleWithWeight() {
	limit := middleware.RateLimit(
		policy.RateLimiterConfig{Limit: 100, Per: time.Minute}, middleware.ByPeerIP,
		middleware.WithWeight(func(r *http.Request) int {
			if r.URL.Path == "/report" {
				return 50
			}
			return 1
		}))
	h := limit(http.NotFoundHandler())

	for _, path := range []string{"/", "/report", "/report"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		fmt.Println(path, w.Header().Get("Ratelimit"))
	}
	// Output:
	// / "default";r=99;t=60
	// /report "default";r=49;t=30
	// /report "default";r=49;t=1
}
