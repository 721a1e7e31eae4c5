package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// short is the plan in a fifth of its time.
func short() plan {
	return plan{
		rate:    200,
		workers: 64,
		phases: []phase{
			{"healthy", 500 * time.Millisecond, mood{status: http.StatusOK, hiccup: 50}},
			{"failing", 700 * time.Millisecond, mood{status: http.StatusServiceUnavailable}},
			{"slow", 600 * time.Millisecond, mood{status: http.StatusOK, delay: 20 * time.Millisecond}},
			{"recovered", 500 * time.Millisecond, mood{status: http.StatusOK, hiccup: 50}},
		},
	}
}

func TestDefaultChainKeepsItsPromises(t *testing.T) {
	s, err := serve(t.Context())
	require.NoError(t, err)
	defer s.close()
	kit := transport.New(base(64), transport.Default(), transport.WithTelemetry(otel.New()))
	clients := []*client{
		{name: "magnetar", http: &http.Client{Transport: kit}, url: s.url + "/magnetar", tries: &s.magnetar, breaker: stateOf(kit)},
		{name: "bare", http: &http.Client{Transport: base(64)}, url: s.url + "/bare", tries: &s.bare, breaker: none},
	}
	for _, c := range clients {
		defer c.http.CloseIdleConnections()
	}
	rows, err := short().run(t.Context(), s, clients, io.Discard)
	require.NoError(t, err)
	require.Len(t, rows, 8)

	healthy, failing, recovered := rows[0], rows[2], rows[6]
	require.Equal(t, healthy.calls, healthy.answered)
	require.Equal(t, "closed", healthy.breaker)
	require.LessOrEqual(t, failing.tries, mostTries(failing.calls))
	require.Positive(t, failing.refused)
	require.Equal(t, "open", failing.breaker)
	require.Equal(t, recovered.calls, recovered.answered)
	require.GreaterOrEqual(t, recovered.settled, 0.99)
	require.Equal(t, "closed", recovered.breaker)

	require.Less(t, rows[1].answered, rows[1].calls, "the bare client sees the hiccups")
	require.Equal(t, rows[3].calls, rows[3].tries, "the bare client hits the server that fails")
}

func TestQuickstartShowsTableAndSpans(t *testing.T) {
	var out, warnings bytes.Buffer
	require.NoError(t, run(t.Context(), &out, &warnings, short()))
	require.Empty(t, warnings.String())
	for _, want := range []string{
		"phase      client", "recovered  magnetar", "promised: at most 34",
		"200, 2 tries", "magnetar.retry.wait", "resend 1",
		"magnetar.breaker.refuse", "circuit_open, 0 tries", "→ the try that opened the breaker",
		"OTEL_EXPORTER_OTLP_ENDPOINT=",
	} {
		require.Contains(t, out.String(), want)
	}
}

func TestQuickstartEndsWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, run(ctx, io.Discard, io.Discard, short()), context.Canceled)
}

func TestTheDayFitsItsTimeLimit(t *testing.T) {
	total := flushTime
	for _, ph := range theDay.phases {
		total += ph.lasts
	}
	require.LessOrEqual(t, total, 12*time.Second)
}
