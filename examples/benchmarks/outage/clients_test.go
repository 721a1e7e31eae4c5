package outage

import (
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/magnetar-go/magnetar/transport"
)

// client is one way to call the peer. Those that retry do so twice, and those
// with a breaker open it after 20 failures in a row, for a second.
type client struct {
	name string
	wrap func(http.RoundTripper) http.RoundTripper
}

var (
	magnetar = client{"magnetar", func(base http.RoundTripper) http.RoundTripper {
		return transport.New(base, transport.Default())
	}}
	withoutBreaker = client{"magnetar, no breaker", func(base http.RoundTripper) http.RoundTripper {
		cfg := transport.Default()
		cfg.Breaker = nil
		return transport.New(base, cfg)
	}}
	failsafe  = client{"failsafehttp", wrapFailsafe}
	retryable = client{"retryablehttp", wrapRetryable}
	bare      = client{"bare", func(base http.RoundTripper) http.RoundTripper { return base }}
)

func wrapFailsafe(base http.RoundTripper) http.RoundTripper {
	retry := failsafehttp.NewRetryPolicyBuilder().
		WithBackoff(100*time.Millisecond, 5*time.Second).WithJitterFactor(0.5).
		AbortOnErrors(circuitbreaker.ErrOpen).
		Build()
	breaker := circuitbreaker.NewBuilder[*http.Response]().
		HandleIf(func(resp *http.Response, err error) bool { return err != nil || resp.StatusCode >= 500 }).
		WithFailureThreshold(20).
		WithSuccessThreshold(3).
		WithDelay(time.Second).
		Build()
	return failsafehttp.NewRoundTripper(base, retry, breaker)
}

func wrapRetryable(base http.RoundTripper) http.RoundTripper {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: base}
	c.Logger = nil
	c.RetryMax = 2
	c.RetryWaitMin, c.RetryWaitMax = 100*time.Millisecond, 5*time.Second
	return &retryablehttp.RoundTripper{Client: c}
}
