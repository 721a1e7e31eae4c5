package demo_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLiveIsALineASecondWhereNoTerminalIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		began := time.Now()
		stop := demo.Live(&out, nil, func() string { return time.Since(began).String() })
		time.Sleep(2500 * time.Millisecond)
		stop()
		require.Equal(t, "1s\n2s\n", out.String())
	})
}

func TestFileIsNoTerminal(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	require.NoError(t, err)
	defer f.Close()
	require.False(t, demo.IsTerminal(f))
	require.False(t, demo.IsTerminal(io.Discard))
}

func TestServerIsGoneWhenItIsClosed(t *testing.T) {
	s, err := demo.Serve(t.Context(), http.NotFoundHandler())
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{}}
	resp, err := client.Get(s.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
	s.Close()
	_, err = client.Get(s.URL)
	require.Error(t, err)
}

func TestFigures(t *testing.T) {
	times := []time.Duration{1, 2, 3, 4}
	require.Equal(t, time.Duration(2), demo.Percentile(times, 50))
	require.Equal(t, time.Duration(4), demo.Percentile(times, 99))
	require.Zero(t, demo.Percentile(nil, 99))
	require.Equal(t, 0.25, demo.Share(1, 4))
	require.Zero(t, demo.Share(1, 0))
	require.Equal(t, "1.5 ms", demo.Milliseconds(1500*time.Microsecond))
}
