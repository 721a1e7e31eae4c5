package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWithoutACollectorItSaysHowToStartOne(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close() // its port refuses now
	err := run(t.Context(), io.Discard, []string{"-otlp", srv.URL})
	require.ErrorContains(t, err, "nothing arrived")
	require.ErrorContains(t, err, "connection refused")
	require.ErrorContains(t, err, "docker compose -f examples/jaeger/compose.yaml up -d")
}

func TestCollectorOfTheEnvironmentIsHeeded(t *testing.T) {
	asked := make(chan string, 16)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.URL.Path:
		default:
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer srv.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL)
	require.ErrorContains(t, run(t.Context(), io.Discard, nil), "nothing arrived")
	require.Equal(t, "/v1/traces", <-asked)
}

func TestCollectorThatHangsIsNotWaitedFor(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // until then nobody notices that the client goes
		<-r.Context().Done()
	}))
	defer srv.Close()
	defer srv.CloseClientConnections() // whose exporters' own patience is longer
	tel, err := newTelemetry(t.Context(), srv.URL)
	require.NoError(t, err)
	tel.patience = 50 * time.Millisecond
	defer tel.close()
	_, err = tell(t.Context(), tel, theStories[0])
	require.ErrorContains(t, err, "nothing arrived")
}

func TestItSaysThatNothingIsExported(t *testing.T) {
	for key, value := range map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_TRACES_SAMPLER": "always_off"} {
		t.Run(key, func(t *testing.T) {
			t.Setenv(key, value)
			require.ErrorIs(t, run(t.Context(), io.Discard, nil), errNothingRecorded)
		})
	}
}

func TestItSaysWhatItCannotDo(t *testing.T) {
	for _, args := range [][]string{{"-otlp", "nowhere"}, {"-otlp", "%"}, {"-nonsense"}} {
		require.Error(t, run(t.Context(), io.Discard, args))
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "pigeon")
	require.Error(t, run(t.Context(), io.Discard, nil))
}

func TestItEndsWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, run(ctx, io.Discard, nil), context.Canceled)
}
