package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// flaky answers 503 to every first try.
func flaky() *httptest.Server {
	tries := 0
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if tries++; tries%2 == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "hello")
	}))
}

func ExampleNew() {
	server := flaky()
	defer server.Close()

	client := &http.Client{Transport: transport.New(nil, transport.Default())}
	defer client.CloseIdleConnections()

	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Printf("%s after %d tries\n", body, len(transport.Attempts(resp)))
	// Output: hello after 2 tries
}

// A chain of one's own: start from Default, or name just the rows wanted.
func ExampleConfig() {
	cfg := transport.Default()
	cfg.Timeouts.Total = 5 * time.Second
	cfg.Timeouts.Attempt = time.Second
	cfg.RateLimit = &policy.RateLimiterConfig{Limit: 100}
	cfg.Concurrency = &policy.ConcurrencyConfig{Limit: 20, MaxQueue: 50}
	fmt.Println(cfg.Validate())

	cfg.Timeouts.Attempt = time.Minute
	cfg.Retry.Multiplier = 0.5
	fmt.Println(cfg.Validate())
	// Output:
	// <nil>
	// timeouts.attempt: 1m0s: must be ≤ total, 5s
	// retry.multiplier: 0.5: must be ≥ 1
}

// Who refused, for which key, and when to try again.
func ExampleTransport_Breaker() {
	down := roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })
	tr := transport.New(down, transport.Config{Breaker: &policy.CircuitBreakerConfig{FailureThreshold: 2}})
	client := &http.Client{Transport: tr}
	for range 2 {
		_, _ = client.Get("https://api.example.com/")
	}

	_, err := client.Get("https://api.example.com/")
	refusal, _ := errors.AsType[*policy.Error](err)
	fmt.Println(errors.Is(err, policy.ErrCircuitOpen), refusal.Policy, refusal.Key, refusal.RetryAfter > 50*time.Second)

	breaker, _ := tr.Breaker("https://api.example.com:443")
	breaker.Reset(context.Background())
	fmt.Println(breaker.State())
	// Output:
	// true breaker https://api.example.com:443 true
	// closed
}

func ExampleWithTimeouts() {
	server := flaky()
	defer server.Close()
	client := &http.Client{Transport: transport.New(nil, transport.Default())}
	defer client.CloseIdleConnections()

	ctx := transport.WithTimeouts(context.Background(), transport.Timeouts{Total: 2 * time.Second, Attempt: time.Second})
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)
	// Output: 200
}

// A POST is repeated only when that is said to be safe.
func ExampleAttempts() {
	server := flaky()
	defer server.Close()
	client := &http.Client{Transport: transport.New(nil, transport.Default())}
	defer client.CloseIdleConnections()

	ctx := policy.AllowRetry(context.Background())
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, strings.NewReader("{}"))
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	for _, a := range transport.Attempts(resp) {
		fmt.Println(a.StatusCode)
	}
	// Output:
	// 503
	// 200
}

func ExampleAttemptsOf() {
	down := roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	client := &http.Client{Transport: transport.New(down, transport.Config{
		Retry: &transport.Retry{InitialBackoff: time.Millisecond},
	})}
	_, err := client.Get("http://api.example.com/")
	fmt.Println(errors.Is(err, policy.ErrMaxRetriesExceeded), len(transport.AttemptsOf(err)))
	// Output: true 3
}

// Hosts with quotas that differ. A limiter of the package policy/redis counts each
// host for the whole fleet: transport.WithRateLimit(limiter.ForKey).
func ExampleWithRateLimit() {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	quotas := map[string]int{server.URL: 2, "https://api.example.com:443": 100}

	client := &http.Client{Transport: transport.New(nil, transport.Default(), transport.WithRateLimit(func(key string) policy.Gate {
		if n, ok := quotas[key]; ok {
			return policy.NewRateLimiter(policy.RateLimiterConfig{Limit: n, Per: time.Hour})
		}
		return nil
	}))}
	defer client.CloseIdleConnections()

	for range 3 {
		resp, err := client.Get(server.URL)
		if err != nil {
			refusal, _ := errors.AsType[*policy.Error](err)
			fmt.Println(refusal.Policy, errors.Is(err, policy.ErrRateLimitExceeded))
			continue
		}
		fmt.Println(resp.StatusCode)
		resp.Body.Close()
	}
	// Output:
	// 200
	// 200
	// rate_limit true
}

// One limit for several clients, or a gate of one's own.
func ExampleWithGate() {
	shared := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 10})
	search := &http.Client{Transport: transport.New(nil, transport.Default(), transport.WithGate(shared))}
	images := &http.Client{Transport: transport.New(nil, transport.Default(), transport.WithGate(shared))}
	_, _ = search, images
}

// The signature covers the headers of the try that is really sent.
func ExampleWithSigner() {
	sign := func(req *http.Request) error {
		req.Header.Set("Authorization", "Signature "+req.Header.Get("Traceparent"))
		return nil
	}
	client := &http.Client{Transport: transport.New(nil, transport.Default(), transport.WithSigner(sign))}
	_ = client
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
