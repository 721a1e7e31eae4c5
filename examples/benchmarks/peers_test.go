package benchmarks

import (
	"errors"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// peer is one way to make an http.Client around a base.
type peer struct {
	name string
	wrap func(http.RoundTripper) http.RoundTripper
}

// peers begin with what all are compared with.
var peers = []peer{
	{"bare", func(base http.RoundTripper) http.RoundTripper { return base }},
	{"magnetar", magnetar},
	{"magnetar+ratelimit", magnetarLimited},
	{"failsafehttp", failsafeFull},
	{"failsafehttp-retry+breaker", failsafeRetryBreaker},
	{"retryablehttp", retryable},
	{"gobreaker", breakerOnly},
	{"otelhttp", func(base http.RoundTripper) http.RoundTripper { return otelhttp.NewTransport(base) }},
}

func (p peer) client(base http.RoundTripper) *http.Client {
	return &http.Client{Transport: p.wrap(base)}
}

func magnetar(base http.RoundTripper) http.RoundTripper {
	return transport.New(base, transport.Default())
}

// manyPerSecond is a rate limit that is asked but never met.
const manyPerSecond = 1_000_000_000

func magnetarLimited(base http.RoundTripper) http.RoundTripper {
	cfg := transport.Default()
	cfg.RateLimit = &policy.RateLimiterConfig{Limit: manyPerSecond}
	return transport.New(base, cfg)
}

// failsafeFull is failsafe-go's chain with retry, breaker, rate limit and
// timeout, in the order its documentation gives.
func failsafeFull(base http.RoundTripper) http.RoundTripper {
	return failsafehttp.NewRoundTripper(base, failsafeRetry(), failsafeBreaker(),
		ratelimiter.NewBursty[*http.Response](manyPerSecond, time.Second),
		timeout.New[*http.Response](10*time.Second))
}

func failsafeRetryBreaker(base http.RoundTripper) http.RoundTripper {
	return failsafehttp.NewRoundTripper(base, failsafeRetry(), failsafeBreaker())
}

func failsafeRetry() failsafe.Policy[*http.Response] {
	return failsafehttp.NewRetryPolicyBuilder().
		WithBackoff(100*time.Millisecond, 5*time.Second).
		AbortOnErrors(circuitbreaker.ErrOpen).
		Build()
}

func failsafeBreaker() failsafe.Policy[*http.Response] {
	return circuitbreaker.NewBuilder[*http.Response]().
		HandleIf(func(resp *http.Response, err error) bool { return err != nil || resp.StatusCode >= 500 }).
		WithFailureRateThreshold(0.8, 20, 10*time.Second).
		WithSuccessThreshold(3).
		WithDelay(time.Hour).
		Build()
}

func retryable(base http.RoundTripper) http.RoundTripper {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: base}
	c.Logger = nil
	c.RetryMax = 2
	return &retryablehttp.RoundTripper{Client: c}
}

// breakerOnly is how gobreaker is put around a RoundTripper.
func breakerOnly(base http.RoundTripper) http.RoundTripper {
	cb := gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{
		Timeout:      time.Hour,
		IsSuccessful: func(err error) bool { return err == nil },
	})
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		var failed *http.Response
		resp, err := cb.Execute(func() (*http.Response, error) {
			resp, err := base.RoundTrip(req)
			if err == nil && resp.StatusCode >= 500 {
				failed = resp
				return nil, errServer
			}
			return resp, err
		})
		if failed != nil {
			return failed, nil
		}
		return resp, err
	})
}

var errServer = errors.New("server error")

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
