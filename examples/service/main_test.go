//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/postgresd"
	"github.com/magnetar-go/magnetar/examples/internal/redisd"
)

// anywhere has a service listen where nobody else does.
func anywhere(t *testing.T) {
	t.Helper()
	t.Setenv("SERVICE_LISTEN", "127.0.0.1:0")
	t.Setenv("SERVICE_ADMIN", "127.0.0.1:0")
}

// named names the servers, so that none is started: one that answers nobody, and
// none.
func named(t *testing.T) {
	t.Helper()
	anywhere(t)
	t.Setenv("SERVICE_DATABASE_URL", "postgres://shop@127.0.0.1:1/shop")
	t.Setenv("SERVICE_SHARED", "null")
}

func TestProgramStartsItsServersIsVisitedAndStops(t *testing.T) {
	postgresd.Program.Find(t) // or it is skipped
	redisd.Program.Find(t)
	anywhere(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, io.Discard, []string{"-config", "service.yaml", "-for", "500ms"}))
	require.Contains(t, out.String(), "a redis-server is started …\n")
	require.Contains(t, out.String(), "a PostgreSQL is started …\n")
	require.Regexp(t, `A product is at http://127\.0\.0\.1:\d+/products/42, the console at http://127\.0\.0\.1:\d+/debug/magnetar`, out.String())
	require.Regexp(t, `Stopped in order\. \d+ requests, [1-9]\d* products`, out.String())
	require.NotContains(t, out.String(), "Bad Gateway")
}

func TestProgramServesUntilItIsInterrupted(t *testing.T) {
	named(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, run(ctx, io.Discard, io.Discard, []string{"-config", "service.yaml", "-for", "0"}))
}

func TestProgramThatIsInterruptedWhileItStartsServersEndsThem(t *testing.T) {
	postgresd.Program.Find(t)
	anywhere(t)
	t.Setenv("SERVICE_SHARED", "null")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("that will do"))
	err := run(ctx, io.Discard, io.Discard, []string{"-config", "service.yaml", "-for", "0"})
	require.EqualError(t, err, "that will do")
}

func TestCheckReportsAndServesNobody(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	t.Setenv("SERVICE_LISTEN", taken.Addr().String())
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, io.Discard, []string{"-config", "service.yaml", "-check"}))
	require.Equal(t, "service.yaml and the environment are well\n", out.String())

	t.Setenv("SERVICE_LISTEN", "nowhere")
	err = run(t.Context(), &out, io.Discard, []string{"-config", "service.yaml", "-check"})
	require.EqualError(t, err, `environment variable SERVICE_LISTEN: listen: "nowhere": must be host:port`)
}

func TestProgramReportsWhatItCannotDo(t *testing.T) {
	named(t)
	args := []string{"-config", "service.yaml", "-for", "1ms"}
	require.ErrorIs(t, run(t.Context(), io.Discard, io.Discard, []string{"-nonsense"}), errUsage)
	require.NoError(t, run(t.Context(), io.Discard, io.Discard, []string{"-help"}))
	require.EqualError(t, run(t.Context(), io.Discard, io.Discard, []string{"check"}), `"check": no arguments are taken but flags`)
	for _, variable := range []string{"OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER"} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, "pigeon")
			require.Error(t, run(t.Context(), io.Discard, io.Discard, args))
		})
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, variable := range []string{"SERVICE_LISTEN", "SERVICE_ADMIN"} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, taken.Addr().String())
			require.ErrorContains(t, run(t.Context(), io.Discard, io.Discard, args), "address already in use")
		})
	}
}

func TestProgramSaysWhichPackageIsMissing(t *testing.T) {
	anywhere(t)
	t.Setenv("SERVICE_DATABASE_URL", "postgres://shop@127.0.0.1:1/shop")
	t.Setenv("PATH", t.TempDir())
	err := run(t.Context(), io.Discard, io.Discard, []string{"-config", "service.yaml", "-for", "1ms"})
	require.EqualError(t, err, "no redis-server here: apt-get install redis-server")
}
