package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMetricsEndsByItself(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, []string{"-addr", "127.0.0.1:0", "-for", "300ms"}))
	require.Regexp(t, `(?s)^The metrics of a shop, .*http://127\.0\.0\.1:\d+/metrics.*dashboard\.json.*0s  all is well.*Stopped: \d+ customers were served`, out.String())
}

func TestMetricsEndsWhenInterrupted(t *testing.T) {
	p := play(t, time.Second)
	require.Eventually(t, func() bool { return strings.Contains(p.out.String(), "half of what prices") }, 30*time.Second, 10*time.Millisecond)
	p.interrupt()
	require.NoError(t, <-p.ended)
	require.Contains(t, p.out.String(), "Stopped: ")
	_, err := http.Get("http://" + p.address + "/metrics")
	require.Error(t, err)
}

func TestMetricsReportsWhatItCannotDo(t *testing.T) {
	require.Error(t, run(t.Context(), io.Discard, []string{"-addr", "256.0.0.1:80"}))
	require.Error(t, run(t.Context(), io.Discard, []string{"-nonsense"}))
	require.ErrorContains(t, run(t.Context(), io.Discard, []string{"-each", "0s"}), "must be > 0")
	t.Setenv("OTEL_TRACES_EXPORTER", "pigeon")
	require.Error(t, run(t.Context(), io.Discard, []string{"-addr", "127.0.0.1:0"}))
}

func TestExemplarsAreInTheOpenMetricsFormatAlone(t *testing.T) {
	p := play(t, time.Minute)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	scrape := func(format string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.address+"/metrics", nil)
		require.NoError(t, err)
		req.Header.Set("Accept", format)
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}
	exemplar := regexp.MustCompile(`(?m)^magnetar_decisions_total\{.*\} \S+ # \{.*trace_id="[0-9a-f]{32}"`)
	require.Eventually(t, func() bool { return exemplar.MatchString(scrape("application/openmetrics-text")) }, 30*time.Second, 100*time.Millisecond)
	require.NotContains(t, scrape("text/plain"), "trace_id")
}

// played is the program while it runs.
type played struct {
	address   string // of the metrics
	out       *output
	interrupt context.CancelFunc
	ended     chan error
}

// play runs the program until the test ends; each trouble lasts so long.
func play(t *testing.T, each time.Duration) *played {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &played{out: &output{}, interrupt: cancel, ended: make(chan error, 1)}
	over := make(chan struct{})
	go func() {
		defer close(over)
		p.ended <- run(ctx, p.out, []string{"-addr", "127.0.0.1:0", "-for", "0", "-each", each.String()})
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	at := regexp.MustCompile(`http://(\S+)/metrics`)
	require.Eventually(t, func() bool { return at.MatchString(p.out.String()) }, 10*time.Second, 5*time.Millisecond)
	p.address = at.FindStringSubmatch(p.out.String())[1]
	return p
}

// output can be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
