package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

func ExampleDeadline() {
	mesh := shed.WithTrustedPeers(netip.MustParsePrefix("192.0.2.0/24"))
	handler := shed.Deadline(shed.DeadlineConfig{Max: 2 * time.Second}, mesh)(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) {
			deadline, _ := r.Context().Deadline()
			fmt.Println("about", time.Until(deadline).Round(100*time.Millisecond))
		}))

	for _, budget := range []string{"500m", "1H", "0m"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Grpc-Timeout", budget)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(budget, w.Code)
	}
	// Output:
	// about 500ms
	// 500m 200
	// about 2s
	// 1H 200
	// 0m 503
}

func ExampleWithRefusal() {
	plain := shed.WithRefusal(func(w http.ResponseWriter, _ *http.Request, e *policy.Error) {
		http.Error(w, "busy: "+string(e.Reason), http.StatusServiceUnavailable)
	})
	trusted := shed.WithTrust(func(*http.Request) bool { return true })
	handler := shed.Deadline(shed.DeadlineConfig{}, plain, trusted)(http.NotFoundHandler())

	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Envoy-Expected-Rq-Timeout-Ms", "0")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)
	fmt.Println("told when to come back:", w.Header().Get("Retry-After") != "")
	// Output:
	// 503 busy: deadline_unmeetable
	// told when to come back: true
}
