package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/magnetar-go/magnetar/policy"
)

func TestServerRunsForAsLongAsItIsTold(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, []string{"-addr", "127.0.0.1:0", "-for", "50ms"}))
	require.Regexp(t, `(?s)^Listening on http://127\.0\.0\.1:\d+\..*Shed.*curl -i.*curl -i.*Stopped: 0 requests admitted, 0 refused`, out.String())
}

func TestServerReportsWhatItCannotDo(t *testing.T) {
	require.Error(t, run(t.Context(), io.Discard, []string{"-addr", "256.0.0.1:80"}))
	require.Error(t, run(t.Context(), io.Discard, []string{"-nonsense"}))
	t.Setenv("OTEL_TRACES_EXPORTER", "pigeon")
	require.Error(t, run(t.Context(), io.Discard, []string{"-addr", "127.0.0.1:0"}))
}

func TestServiceReportsAllThatIsWrong(t *testing.T) {
	for _, spoil := range []func(*config){
		func(c *config) { c.deadline.Min = time.Hour },
		func(c *config) { c.quota.Limit = -1 },
		func(c *config) { c.room.Limit = -1 },
	} {
		cfg := small()
		cfg.tracing = sdktrace.NewTracerProvider()
		spoil(&cfg)
		_, err := newService(cfg)
		require.Error(t, err)
	}
}

// When the server stops, what is in flight is answered, streams are told to end,
// and readiness says so before the connections close.
func TestServerStopsInOrder(t *testing.T) {
	cfg := small()
	cfg.room = policy.ConcurrencyConfig{Limit: 16}
	cfg.api.report = 300 * time.Millisecond
	cfg.tracing = sdktrace.NewTracerProvider()
	s, err := newService(cfg)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + l.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()

	stream, err := client.Get(url + "/events")
	require.NoError(t, err)
	defer stream.Body.Close()
	require.Equal(t, "text/event-stream", stream.Header.Get("Content-Type"))
	events := bufio.NewReader(stream.Body)
	line, err := events.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "id: 1\n", line)
	require.Equal(t, uint64(1), s.shedder.Stats().Streamed, "it has left the lane of short requests")

	answer := make(chan int, 1)
	go func() {
		resp, err := client.Get(url + "/reports/1")
		if err != nil {
			answer <- 0
			return
		}
		defer resp.Body.Close()
		answer <- resp.StatusCode
	}()
	require.Eventually(t, func() bool { return s.shedder.Stats().Main.InFlight == 1 }, 5*time.Second, time.Millisecond)
	stop()
	require.Eventually(t, func() bool { return s.shedder.Stats().Draining }, 5*time.Second, time.Millisecond)
	require.Equal(t, http.StatusServiceUnavailable, serve(s.onChi(), get("/readyz", stranger)).Code)
	require.Equal(t, http.StatusServiceUnavailable, serve(s.onServeMux(), get("/items/1", stranger)).Code)

	_, err = io.Copy(io.Discard, events)
	require.NoError(t, err, "the stream ends rather than breaks")
	require.Equal(t, http.StatusOK, <-answer)
	require.NoError(t, <-ended)
}
