package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

func ExampleWithPropagation() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Header.Get("X-Priority"), r.Header.Get("Grpc-Timeout") != "")
	}))
	defer server.Close()

	client := &http.Client{Transport: transport.New(nil, transport.Default(), transport.WithPropagation(
		transport.Propagation{Priority: "X-Priority", Deadline: "grpc-timeout"},
	))}
	defer client.CloseIdleConnections()

	ctx := policy.ContextWithPriority(context.Background(), policy.Critical)
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	// Output: critical true
}
