package otel_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

func ExampleConsole() {
	console := otel.NewConsole(otel.WithTraceURL("http://localhost:16686/trace/{trace_id}"))

	client := &http.Client{Transport: transport.New(nil, transport.Default(), transport.WithObserver(console))}
	defer client.CloseIdleConnections()

	mux := http.NewServeMux()
	mux.Handle("/debug/magnetar", console) // where only operators come
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	server.RegisterOnShutdown(console.Close)
}

func ExampleNewConsole() {
	console := otel.NewConsole(otel.WithTraceURL("http://localhost:16686/trace/{trace_id}"))

	mux := http.NewServeMux()
	mux.Handle("/debug/magnetar", console) // open it in a browser; best where only operators come
	server := httptest.NewServer(mux)
	defer server.Close()
	server.Config.RegisterOnShutdown(console.Close)

	// Transports, middleware and pools have a WithObserver, too.
	breaker := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 1},
		policy.WithKey("db"), policy.WithObserver(console))
	_ = breaker.Do(context.Background(), func(context.Context) error { return errors.New("connection refused") })

	req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL+"/debug/magnetar", nil)
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	var seen struct {
		Breakers  []struct{ Key, State string }
		Decisions []struct{ Policy, Action, Reason, Key string }
	}
	fmt.Println(json.NewDecoder(resp.Body).Decode(&seen))
	fmt.Println(seen.Breakers)
	fmt.Println(seen.Decisions)
	fmt.Println(breaker.State())
	// Output:
	// <nil>
	// [{db open}]
	// [{breaker open failures_in_a_row db}]
	// open
}
