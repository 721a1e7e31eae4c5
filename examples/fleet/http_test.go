//go:build linux

package main

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// Inbound traps 18 and 20: four servers share the quota of a client; without Redis
// they do as they are told, and clients learn nothing of it.
func TestServersShareAQuota(t *testing.T) {
	for mode, without := range map[redislimit.OnFailure]int{
		redislimit.Open: http.StatusOK, redislimit.Closed: http.StatusServiceUnavailable, redislimit.Local: http.StatusTooManyRequests,
	} {
		t.Run(string(mode), func(t *testing.T) {
			d := startServer(t)
			var cost toll
			fleet := serversOf(t, d.Address(), mode, &cost)
			passed, counted := askAtOnce(fleet)
			if mode != redislimit.Local { // which counts by itself what takes too long
				require.LessOrEqual(t, passed, int64(100))
			}
			if counted == 400 {
				require.EqualValues(t, 100, passed)
			}
			d.Signal(syscall.SIGSTOP)
			defer d.Signal(syscall.SIGCONT)
			promised := func(w *httptest.ResponseRecorder) bool {
				return w.Code == without || mode == redislimit.Local && w.Code == http.StatusOK // of the process's share
			}
			for _, h := range fleet {
				cost.call(promised(ask(h)))
			}
			began := time.Now()
			var last *httptest.ResponseRecorder
			for i := range 400 {
				last = ask(fleet[i%4])
				cost.call(promised(last))
				require.NotContains(t, last.Body.String(), "127.0.0.1")
				require.NotContains(t, last.Body.String(), "redis")
				if mode != redislimit.Local {
					require.Equal(t, without, last.Code)
				}
			}
			t.Logf("%s: 400 answered without Redis, %v each", mode, time.Since(began)/400)
			require.Equal(t, without, last.Code)
			cost.survived(t, "black hole of a quota, "+string(mode))
		})
	}
}

func serversOf(t *testing.T, redis string, mode redislimit.OnFailure, cost *toll) (fleet []http.Handler) {
	t.Helper()
	c := clientOf(t, redis)
	for range 4 {
		s := newStore(t, countedClient(t, redis, cost), redislimit.Config{Timeout: 200 * time.Millisecond, OnFailure: mode, Replicas: 4})
		q, err := shed.NewQuota(policy.RateLimiterConfig{Limit: 100, Per: time.Hour}, shed.ByPeerIP, shed.WithName("requests"), shed.WithStore(s), shed.WithTelemetry(nil))
		require.NoError(t, err)
		eventually(t, s) // it has a connection
		fleet = append(fleet, q.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	}
	do(t, c, "FLUSHDB")
	return fleet
}

func ask(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	return w
}

// askAtOnce sends 100 requests to each server, and tells how many passed of those
// that were counted.
func askAtOnce(fleet []http.Handler) (passed, counted int64) {
	var wg sync.WaitGroup
	var ok, known atomic.Int64
	for i := range 20 {
		wg.Go(func() {
			for range 20 {
				w := ask(fleet[i%len(fleet)])
				if w.Header().Get("Ratelimit") == "" {
					continue
				}
				known.Add(1)
				if w.Code == http.StatusOK {
					ok.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return ok.Load(), known.Load()
}
