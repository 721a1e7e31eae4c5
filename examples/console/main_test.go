package main

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConsoleRunsForAsLongAsItIsTold(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, []string{"-addr", "127.0.0.1:0", "-for", "300ms", "-jaeger", "http://127.0.0.1:16686/"}))
	require.Regexp(t, `^The console is at http://127\.0\.0\.1:\d+/debug/magnetar; .*\n.*curl -H`, out.String())
}

func TestConsoleReportsWhatItCannotDo(t *testing.T) {
	require.Error(t, run(t.Context(), io.Discard, []string{"-addr", "256.0.0.1:80"}))
	require.Error(t, run(t.Context(), io.Discard, []string{"-nonsense"}))
	t.Setenv("OTEL_TRACES_EXPORTER", "pigeon")
	require.Error(t, run(t.Context(), io.Discard, []string{"-addr", "127.0.0.1:0"}))
}
