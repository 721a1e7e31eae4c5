package pool_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/pool"
)

// exchange is one request and all of its answer.
func exchange(tb testing.TB, rt http.RoundTripper, req *http.Request) {
	tb.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		tb.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

func TestARoundTripAllocatesLittleMoreThanNetHTTP(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const over = 3
	s := httptest.NewServer(says("ok"))
	defer s.Close()
	plain := &http.Transport{}
	defer plain.CloseIdleConnections()
	for name, cfg := range map[string]pool.TransportConfig{
		"zero": {}, "default": pool.DefaultTransport(), "limited": {MaxInFlight: 10},
	} {
		t.Run(name, func(t *testing.T) {
			pt, err := pool.NewTransport(cfg, pool.WithBase(plain))
			require.NoError(t, err)
			defer pt.Close()
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
			bare := testing.AllocsPerRun(300, func() { exchange(t, plain, req) })
			ours := testing.AllocsPerRun(300, func() { exchange(t, pt, req) })
			require.LessOrEqual(t, ours, bare+over)
		})
	}
}

func BenchmarkTransport(b *testing.B) {
	s := httptest.NewServer(says("ok"))
	defer s.Close()
	base := &http.Transport{MaxIdleConnsPerHost: 100}
	defer base.CloseIdleConnections()
	pt, err := pool.NewTransport(pool.DefaultTransport(), pool.WithBase(base))
	require.NoError(b, err)
	defer pt.Close()
	for _, c := range []struct {
		name string
		rt   http.RoundTripper
	}{{"net/http", base}, {"pool", pt}} {
		b.Run(c.name+"/serial", func(b *testing.B) {
			req, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, s.URL, nil)
			b.ReportAllocs()
			for b.Loop() {
				exchange(b, c.rt, req)
			}
		})
		b.Run(c.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				req, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, s.URL, nil)
				for pb.Next() {
					exchange(b, c.rt, req)
				}
			})
		})
	}
}
