package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

func TestShedReportsAllFaults(t *testing.T) {
	bad := policy.ConcurrencyConfig{Limit: -1, MaxQueue: -2}
	_, err := middleware.NewShedder(bad, middleware.WithMaxStreams(-3))
	require.EqualError(t, err, "limit: -1: must be ≥ 0\nmax_queue: -2: must be ≥ 0\nmax_streams: -3: must be ≥ 0")
	require.Panics(t, func() { middleware.Shed(bad) })
	s := newShedder(t, policy.ConcurrencyConfig{Limit: 3})
	require.Error(t, s.Update(bad))
	require.Equal(t, 3, s.Stats().Main.Limit)
	require.NoError(t, s.Update(policy.ConcurrencyConfig{Limit: 5}))
	require.Equal(t, 5, s.Stats().Main.Limit)
}

func TestShedRefusesWhatThereIsNoRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 2})
		p := park()
		h := s.Handler(p)
		wait := fill(h, 2)
		w := get(h, "/")
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.NotEmpty(t, w.Header().Get("Retry-After"))
		require.Empty(t, w.Header().Get("Connection"))
		p.letGo()
		wait()
		require.Equal(t, http.StatusOK, get(h, "/").Code)
		require.Equal(t, policy.ConcurrencyStats{Limit: 2, Admitted: 3, Refused: 1}, s.Stats().Main)
	})
}

// Inbound traps 1, 2 and 3.
func TestHandlerThatDoesNotReturnGivesItsPlaceBackOnce(t *testing.T) {
	ends := map[string]func(){
		"panic":           func() { panic("oops") },
		"ErrAbortHandler": func() { panic(http.ErrAbortHandler) },
		"Goexit":          runtime.Goexit,
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			s := newShedder(t, policy.ConcurrencyConfig{Limit: 4})
			h := s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/end" {
					end()
				}
			}))
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for range 250 {
						get(h, "/end")
					}
				})
			}
			all.Wait()
			require.Zero(t, s.Stats().Main.InFlight)
			require.Equal(t, http.StatusOK, get(h, "/").Code)
		})
	}
}

func TestPanicGoesOn(t *testing.T) {
	h := newShedder(t, policy.ConcurrencyConfig{Limit: 1}).Handler(http.HandlerFunc(
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	})
}

// Inbound trap 7.
func TestClientThatGoesWhileItQueuesLeavesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen told
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 1, MaxQueue: 1, MaxWait: time.Minute}, middleware.WithObserver(&seen))
		p := park()
		h := s.Handler(p)
		wait := fill(h, 1)
		ctx, cancel := context.WithCancel(t.Context())
		w := httptest.NewRecorder()
		began, left := time.Now(), make(chan struct{})
		go func() {
			defer close(left)
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		}()
		synctest.Wait()
		require.Equal(t, 1, s.Stats().Main.Queued)
		cancel()
		<-left
		require.Zero(t, time.Since(began))
		require.Empty(t, w.Body.String())
		require.Equal(t, 499, w.Code)
		require.Equal(t, policy.ReasonClientGone, seen.last(t).Reason)
		require.Zero(t, s.Stats().Main.Queued)
		p.letGo()
		wait()
		require.Equal(t, uint64(1), s.Stats().Main.Admitted)
	})
}

func TestDeadlineThatPassesInTheQueueIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 1, MaxQueue: 1, MaxWait: time.Minute})
		p := park()
		h := s.Handler(p)
		wait := fill(h, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		p.letGo()
		wait()
	})
}

// Inbound trap 8.
func TestClientThatGoesInTheHandlerDoesNotMoveTheLimit(t *testing.T) {
	s := newShedder(t, policy.ConcurrencyConfig{})
	limit := s.Stats().Main.Limit
	ctx, cancel := context.WithCancel(t.Context())
	h := s.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }))
	for range 10_000 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		ctx, cancel = context.WithCancel(t.Context())
	}
	cancel()
	require.Equal(t, limit, s.Stats().Main.Limit)
	require.Zero(t, s.Stats().Main.InFlight)
}

// Inbound trap 11.
func TestHealthIsAnsweredAtTenTimesTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 10})
		p := park()
		h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				p.ServeHTTP(w, r)
			}
		}))
		wait := fill(h, 100)
		require.Equal(t, uint64(90), s.Stats().Main.Refused)
		began := time.Now()
		for range 100 {
			require.Equal(t, http.StatusOK, get(h, "/healthz").Code)
		}
		require.Zero(t, time.Since(began))
		p.letGo()
		wait()
	})
}

// Inbound trap 11: a lane, and no way around the limit.
func TestHealthLaneIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 10},
			middleware.WithHealth(func(r *http.Request) bool { return r.Method == http.MethodGet }))
		p := park()
		wait := fill(s.Handler(p), 1000)
		st := s.Stats()
		require.Equal(t, 16, st.Health.InFlight)
		require.Equal(t, 64, st.Health.Queued)
		require.Equal(t, uint64(1000-16-64), st.Health.Refused)
		require.Zero(t, st.Main.InFlight)
		p.letGo()
		wait()
	})
}

// Inbound trap 12.
func TestPathsLikeHealthAreNone(t *testing.T) {
	s := newShedder(t, policy.ConcurrencyConfig{Limit: 10})
	h := s.Handler(http.HandlerFunc(ok))
	for _, path := range []string{"/healthz/", "/x/healthz", "/HEALTHZ", "/?/healthz", "/metrics/all"} {
		get(h, path)
	}
	require.Equal(t, uint64(5), s.Stats().Main.Admitted)
	get(newShedder(t, policy.ConcurrencyConfig{Limit: 1}, middleware.WithHealth(nil)).Handler(http.HandlerFunc(ok)), "/healthz")
}

// Inbound trap 29.
func TestUploadsAreRefusedWithoutReadingThem(t *testing.T) {
	s := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
	entered, p := make(chan struct{}), park()
	server := httptest.NewServer(s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		p.ServeHTTP(w, r)
	})))
	defer server.Close()
	var wait sync.WaitGroup
	wait.Go(func() {
		resp, err := server.Client().Get(server.URL)
		if err == nil {
			resp.Body.Close()
		}
	})
	<-entered
	const size = 10 << 20
	upload := &counted{Reader: strings.NewReader(strings.Repeat("x", size))}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, upload)
	require.NoError(t, err)
	req.ContentLength = size
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.True(t, resp.Close)
	require.Less(t, upload.n.Load(), int64(size))
	p.letGo()
	wait.Wait()
}

type counted struct {
	*strings.Reader
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// WriteTo would hide the reads.
func (c *counted) WriteTo() {}

// Inbound trap 32.
func TestDrainRefusesTheQueueAndLetsTheRestFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 1, MaxQueue: 1, MaxWait: time.Minute})
		p := park()
		h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				p.ServeHTTP(w, r)
			}
		}))
		responses := make(chan *httptest.ResponseRecorder, 2)
		for range 2 {
			go func() { responses <- get(h, "/") }()
			synctest.Wait()
		}
		drained := make(chan error)
		go func() { drained <- s.Drain(t.Context()) }()
		queued := <-responses
		require.Equal(t, http.StatusServiceUnavailable, queued.Code)
		require.Equal(t, "close", queued.Header().Get("Connection"))
		for path, code := range map[string]int{"/other": http.StatusServiceUnavailable, "/readyz": http.StatusOK} {
			w := get(h, path)
			require.Equal(t, code, w.Code, path)
			require.Equal(t, "close", w.Header().Get("Connection"), path)
		}
		synctest.Wait()
		require.Empty(t, drained)
		p.letGo()
		require.NoError(t, <-drained)
		finished := <-responses
		require.Equal(t, http.StatusOK, finished.Code)
		require.Equal(t, "close", finished.Header().Get("Connection"))
		require.True(t, s.Stats().Draining)
	})
}

func TestHandlerThatNeverReturnsHoldsItsPlaceAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 2})
		p := park()
		h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				p.ServeHTTP(w, r)
			}
		}))
		wait := fill(h, 1)
		time.Sleep(24 * time.Hour)
		require.Equal(t, http.StatusOK, get(h, "/other").Code)
		require.Equal(t, 1, s.Stats().Main.InFlight)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.Drain(ctx), context.DeadlineExceeded)
		p.letGo()
		wait()
	})
}

func TestShadowOnlyTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen told
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 1, MaxQueue: 5}, middleware.WithShadow(), middleware.WithObserver(&seen))
		p := park()
		h := s.Handler(p)
		wait := fill(h, 3)
		time.Sleep(time.Millisecond)
		st := s.Stats().Main
		require.Equal(t, 1, st.InFlight)
		require.Zero(t, st.Queued)
		require.Equal(t, uint64(2), st.Refused)
		refused := 0
		for _, d := range seen.decisions() {
			require.Equal(t, d.Action == policy.ActionRefuse, d.Shadow)
			if d.Shadow {
				refused++
			}
		}
		require.Equal(t, 2, refused)
		p.letGo()
		wait()
		require.Equal(t, policy.PolicyShed, seen.last(t).Policy)
		require.Zero(t, s.Stats().Main.InFlight)
	})
}
