package transport_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// The ceilings are over what a bare http.Client allocates for the same call.
func TestCallAllocatesLittleOverABareClient(t *testing.T) {
	limited := transport.Default()
	limited.RateLimit = &policy.RateLimiterConfig{Limit: 1_000_000_000}
	limited.Concurrency = &policy.ConcurrencyConfig{Limit: 10}
	for _, tt := range []struct {
		name    string
		cfg     transport.Config
		opts    []transport.Option
		call    func(*testing.T, *http.Client)
		ceiling float64
	}{
		{"GET, nothing on", transport.Config{}, nil, getOnce, 1},
		{"GET", transport.Default(), nil, getOnce, 1},
		{"GET, limited", limited, nil, getOnce, 1},
		{"GET, limited by key", transport.Default(), []transport.Option{transport.WithRateLimit(plenty)}, getOnce, 1},
		{"POST of 1 KiB", transport.Default(), nil, postOnce, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bare := allocsOf(t, tt.call, quietBase{})
			kit := allocsOf(t, tt.call, transport.New(quietBase{}, tt.cfg, tt.opts...))
			require.LessOrEqual(t, kit-bare, tt.ceiling, "bare: %v, kit: %v", bare, kit)
		})
	}
}

func plenty(string) policy.Gate {
	return policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 1_000_000_000})
}

// The ceilings are over what the chain allocates without telemetry. Of those the
// headers of the try are one, and a traceparent in them four; a span of the SDK's
// takes three where it is not sampled, else five.
func TestTelemetryAllocatesLittle(t *testing.T) {
	seen := func(sampler sdktrace.Sampler, d otel.Detail) []transport.Option {
		return []transport.Option{sendingOn(
			otel.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler))), otel.WithDetail(d))}
	}
	for _, tt := range []struct {
		name    string
		opts    []transport.Option
		ceiling float64
	}{
		{"no SDK", nil, 0},
		{"no SDK, but propagators", []transport.Option{sendingOn()}, 1},
		{"not sampled", seen(sdktrace.NeverSample(), otel.All), 8},
		{"sampled", seen(sdktrace.AlwaysSample(), otel.Consequential), 20},
		{"sampled, with every decision", seen(sdktrace.AlwaysSample(), otel.All), 30},
	} {
		t.Run(tt.name, func(t *testing.T) {
			unseen := allocsOf(t, getOnce, transport.New(quietBase{}, transport.Default(), transport.WithTelemetry(nil)))
			got := allocsOf(t, getOnce, transport.New(quietBase{}, transport.Default(), tt.opts...))
			require.LessOrEqual(t, got-unseen, tt.ceiling, "without: %v, with: %v", unseen, got)
		})
	}
}

func TestRefusalAllocatesLittle(t *testing.T) {
	rt := transport.New(quietBase{}, transport.Default())
	client := &http.Client{Transport: rt}
	getOnce(t, client)
	breaker, ok := rt.Breaker("http://api.example.com:80")
	require.True(t, ok)
	breaker.ForceOpen(t.Context())
	bare := allocsOf(t, getOnce, quietBase{})
	refusal := allocsOf(t, func(t *testing.T, _ *http.Client) {
		_, err := client.Get("http://api.example.com/")
		require.ErrorIs(t, err, policy.ErrCircuitOpen)
	}, quietBase{})
	require.LessOrEqual(t, refusal, bare+5)
}

func allocsOf(t *testing.T, call func(*testing.T, *http.Client), rt http.RoundTripper) float64 {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	client := &http.Client{Transport: rt}
	return testing.AllocsPerRun(500, func() { call(t, client) })
}

func getOnce(t *testing.T, client *http.Client) {
	resp, err := client.Get("http://api.example.com/")
	finish(t, resp, err)
}

var kilobyte = bytes.Repeat([]byte("x"), 1024)

func postOnce(t *testing.T, client *http.Client) {
	resp, err := client.Post("http://api.example.com/", "application/octet-stream", bytes.NewReader(kilobyte))
	finish(t, resp, err)
}

func finish(t *testing.T, resp *http.Response, err error) {
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resp.Body.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
}

// quietBase reads the request body to its end, and answers with an empty one that
// is not http.NoBody.
type quietBase struct{}

func (quietBase) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Discard.(io.ReaderFrom).ReadFrom(req.Body)
		_ = req.Body.Close()
	}
	return &http.Response{StatusCode: http.StatusOK, Header: quietHeader, Body: noBytes{}, Request: req}, nil
}

var quietHeader = http.Header{}

type noBytes struct{}

func (noBytes) Read([]byte) (int, error) { return 0, io.EOF }
func (noBytes) Close() error             { return nil }
