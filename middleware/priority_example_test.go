package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

func ExamplePriority() {
	sorted := shed.Priority(
		shed.WithPriority(func(r *http.Request) policy.Priority {
			if strings.HasPrefix(r.URL.Path, "/export/") {
				return policy.Bulk
			}
			return policy.Normal
		}),
		shed.WithPriorityHeader("X-Priority"),
		shed.WithTrustedPeers(netip.MustParsePrefix("10.0.0.0/8")),
		shed.WithCohort(func(r *http.Request) string { return r.Header.Get("X-Tenant") }),
	)
	handler := sorted(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.URL.Path, policy.PriorityFromContext(r.Context()))
	}))

	for _, from := range []string{"10.0.0.7:4711", "192.0.2.1:4711"} {
		r := httptest.NewRequest(http.MethodGet, "/export/all", nil)
		r.RemoteAddr = from
		r.Header.Set("X-Priority", "critical")
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	// Output:
	// /export/all critical
	// /export/all bulk
}
