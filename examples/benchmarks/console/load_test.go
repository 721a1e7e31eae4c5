//go:build unix

package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

const perSecond = 50_000 // decisions

// load is what keys in trouble decide.
type load []policy.Decision

func newLoad(keys int) load {
	kinds := []policy.Decision{
		{Policy: policy.PolicyBreaker, Action: policy.ActionAdmit},
		{Policy: policy.PolicyConcurrency, Action: policy.ActionAdmit, Limit: 20, InFlight: 7},
		{Policy: policy.PolicyRateLimit, Action: policy.ActionAdmit, Limit: 100},
		{Policy: policy.PolicyBreaker, Action: policy.ActionRefuse, Reason: policy.ReasonCircuitOpen, RetryAfter: time.Second},
		{
			Policy: policy.PolicyRetry, Action: policy.ActionWait, Reason: policy.ReasonStatus,
			Took: 80 * time.Millisecond, Err: errors.New("connection reset by peer"),
		},
	}
	var all load
	for i := range keys {
		for _, d := range kinds {
			d.Key = host(i)
			all = append(all, d)
		}
	}
	return all
}

func host(i int) string { return fmt.Sprintf("https://api-%d.example.com:443", i) }

// measure tells the decisions at an even pace, and returns how many cores the
// process took.
func (l load) measure(t *testing.T, lasts time.Duration, telemetry *otel.Observer, c *otel.Console) float64 {
	t.Helper()
	ctx, told := context.Background(), 0
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began, busy := time.Now(), processor()
	for time.Since(began) < lasts {
		<-tick.C
		for due := int(time.Since(began).Seconds() * perSecond); told < due; told++ {
			d := l[told%len(l)]
			d.Began = time.Now().Add(-d.Took)
			tell(ctx, telemetry, c, d)
		}
	}
	elapsed, took := time.Since(began).Seconds(), processor()-busy
	if testing.Verbose() { // else it is about nothing but that it runs
		require.InDelta(t, perSecond, float64(told)/elapsed, perSecond/10, "the pace was kept")
	}
	return took.Seconds() / elapsed
}

// processor is the time that the process has had of all cores.
func processor() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// fill makes a transport with the recommended chain that c watches, with so many
// keys, which stays for as long as the test.
func fill(t *testing.T, c *otel.Console, keys int) {
	t.Helper()
	tr := transport.New(answering{}, transport.Default(), transport.WithTelemetry(nil), transport.WithObserver(c))
	for i := range keys {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, host(i), nil)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		require.NoError(t, resp.Body.Close())
	}
	t.Cleanup(tr.CloseIdleConnections)
}

// answering is a base that answers at once.
type answering struct{}

func (answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}
