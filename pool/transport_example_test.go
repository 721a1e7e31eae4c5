package pool_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/magnetar-go/magnetar/pool"
)

func ExampleNewTransport() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello")
	}))
	defer server.Close()

	pt, err := pool.NewTransport(pool.DefaultTransport())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pt.Close()
	client := &http.Client{Transport: pt} // or transport.New(pt, transport.Default())

	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Println(string(text))
	// Output: hello
}

func ExampleStatic() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Host)
	}))
	defer server.Close()

	pt, err := pool.NewTransport(pool.DefaultTransport(), pool.WithResolver(pool.Static(map[string][]string{
		"api.internal": {server.Listener.Addr().String()},
	})))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pt.Close()

	resp, err := (&http.Client{Transport: pt}).Get("http://api.internal/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Println(string(text))
	// Output: api.internal
}

func ExampleResolverFunc() {
	registry := pool.ResolverFunc(func(_ context.Context, host string) ([]string, error) {
		// Ask Consul, say, or a file.
		return []string{"192.0.2.10:8080", "192.0.2.11:8080"}, nil
	})

	found, err := registry.Resolve(context.Background(), "api.internal")
	fmt.Println(found, err)
	// Output: [192.0.2.10:8080 192.0.2.11:8080] <nil>
}

// fewest is a balancer that chooses the endpoint with the fewest requests.
type fewest struct{}

func (fewest) Pick(c pool.Candidates) int {
	best := 0
	for i := range c.Len() {
		if c.At(i).InFlight < c.At(best).InFlight {
			best = i
		}
	}
	return best
}

func ExampleBalancer() {
	pt, err := pool.NewTransport(pool.DefaultTransport(), pool.WithBalancer(fewest{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(pt.Close())
	// Output: <nil>
}

func ExampleTransport_Snapshot() {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	pt, err := pool.NewTransport(pool.DefaultTransport(), pool.WithResolver(pool.Static(map[string][]string{
		"api.internal": {server.Listener.Addr().String()},
	})))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pt.Close()

	if err := pt.Prewarm(context.Background(), "http://api.internal/", 2); err != nil {
		fmt.Println(err)
	}
	for _, target := range pt.Snapshot().Targets {
		fmt.Println(target.Name)
		for _, e := range target.Endpoints {
			fmt.Println(e.State, len(e.Conns), "connections")
		}
	}
	// Output:
	// http://api.internal:80
	// healthy 2 connections
}

func ExampleTransport_Drain() {
	pt, err := pool.NewTransport(pool.DefaultTransport())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(pt.Drain(ctx))

	_, err = (&http.Client{Transport: pt}).Get("http://192.0.2.1/")
	fmt.Println(err)
	// Output:
	// <nil>
	// Get "http://192.0.2.1/": magnetar: refused locally by pool for http://192.0.2.1:80: closed (closed)
}

func ExampleTransportConfig_Validate() {
	cfg := pool.TransportConfig{
		MaxInFlight: -1,
		Outlier:     &pool.OutlierConfig{MaxEjected: 1.5},
		Probe:       &pool.ProbeConfig{Interval: time.Second, Timeout: time.Minute},
	}
	fmt.Println(cfg.Validate())
	// Output:
	// max_in_flight: -1: must be ≥ 0
	// outlier.max_ejected: 1.5: must be between 0 and 1
	// probe.path: is missing
	// probe.timeout: 1m0s: must be ≤ interval, 1s
}

func ExampleTransport_Rebase() {
	pt, err := pool.NewTransport(pool.DefaultTransport())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pt.Close()

	renewed := &http.Transport{TLSClientConfig: &tls.Config{ServerName: "api.internal", MinVersion: tls.VersionTLS13}}
	fmt.Println(pt.Rebase(renewed, "new certificates"))
	fmt.Println(pt.Rebase(nil, "a mistake"))
	// Output:
	// <nil>
	// magnetar: invalid pool.Transport:
	// base: is missing
}
