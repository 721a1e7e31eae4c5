package middleware_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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

// Inbound trap 4.
func TestStreamsLeaveTheMainLane(t *testing.T) {
	events := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/event-stream; charset=utf-8") }
	handlers := map[string]func(http.ResponseWriter){
		"WriteHeader": func(w http.ResponseWriter) { events(w); w.WriteHeader(http.StatusOK) },
		"Write":       func(w http.ResponseWriter) { events(w); _, _ = io.WriteString(w, "data: 1\n\n") },
		"Flush first": func(w http.ResponseWriter) { events(w); w.(http.Flusher).Flush() },
		"Flush, then a second": func(w http.ResponseWriter) {
			w.(http.Flusher).Flush()
			time.Sleep(time.Second + time.Millisecond)
		},
	}
	for name, begin := range handlers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen told
				s := newShedder(t, policy.ConcurrencyConfig{Limit: 1}, middleware.WithObserver(&seen))
				p := park()
				h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					begin(w)
					p.ServeHTTP(w, r)
				}))
				wait := fill(h, 1)
				time.Sleep(10 * time.Minute)
				require.Zero(t, s.Stats().Main.InFlight)
				require.Equal(t, 1, s.Stats().Streams.InFlight)
				d := seen.last(t)
				require.Equal(t, policy.ActionBypass, d.Action)
				require.Equal(t, policy.ReasonStream, d.Reason)
				require.Equal(t, 1, d.InFlight)
				p.letGo()
				wait()
				require.Zero(t, s.Stats().Streams.InFlight)
			})
		})
	}
}

func TestOneFlushMakesNoStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
		get(s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			time.Sleep(900 * time.Millisecond)
		})), "/")
		time.Sleep(time.Minute)
		require.Zero(t, s.Stats().Streamed)
	})
}

// Inbound trap 4: the limit is the same with fifty streams of ten minutes.
func TestStreamsDoNotMoveTheLimit(t *testing.T) {
	limitAfter := func(t *testing.T, streams int) (limit int) {
		synctest.Test(t, func(t *testing.T) {
			s := newShedder(t, policy.ConcurrencyConfig{})
			h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/events" {
					w.Header().Set("Content-Type", "text/event-stream")
					w.WriteHeader(http.StatusOK)
					time.Sleep(10 * time.Minute)
					return
				}
				time.Sleep(10 * time.Millisecond)
			}))
			var all sync.WaitGroup
			for range streams {
				all.Go(func() { get(h, "/events") })
				synctest.Wait()
			}
			for range 2000 {
				all.Go(func() { get(h, "/") })
				time.Sleep(300 * time.Microsecond)
			}
			limit = s.Stats().Main.Limit
			all.Wait()
		})
		return limit
	}
	without := limitAfter(t, 0)
	require.InDelta(t, without, limitAfter(t, 50), max(1, 0.05*float64(without)))
}

func TestStreamWithoutAPlaceStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 2}, middleware.WithMaxStreams(1))
		p := park()
		wait := fill(s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			p.ServeHTTP(w, r)
		})), 2)
		st := s.Stats()
		require.Equal(t, 1, st.Main.InFlight)
		require.Equal(t, 1, st.Streams.InFlight)
		require.Equal(t, uint64(1), st.Stayed)
		p.letGo()
		wait()
	})
}

func TestNamedStreamsNeverEnterTheMainLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 1}, middleware.WithMaxStreams(2),
			middleware.WithStream(func(r *http.Request) bool { return r.URL.Path == "/" }))
		p := park()
		h := s.Handler(p)
		wait := fill(h, 2)
		require.Equal(t, http.StatusServiceUnavailable, get(h, "/").Code)
		require.Zero(t, s.Stats().Main.Admitted)
		p.letGo()
		wait()
	})
}

// A client's word opens no way around the limit.
func TestUpgradesNeedAPlaceInBothLanes(t *testing.T) {
	cases := map[string]struct{ method, upgrade string }{
		"upgrade": {http.MethodGet, "websocket"},
		"connect": {http.MethodConnect, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ask := func(h http.Handler) int {
				r := httptest.NewRequest(c.method, "/", nil)
				if c.upgrade != "" {
					r.Header.Set("Upgrade", c.upgrade)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return w.Code
			}
			synctest.Test(t, func(t *testing.T) {
				s := newShedder(t, policy.ConcurrencyConfig{Limit: 2}, middleware.WithMaxStreams(1))
				p := park()
				h := s.Handler(p)
				var first sync.WaitGroup
				first.Go(func() { ask(h) })
				synctest.Wait()
				require.Equal(t, 1, s.Stats().Main.InFlight)
				require.Equal(t, 1, s.Stats().Streams.InFlight)
				require.Equal(t, http.StatusServiceUnavailable, ask(h), "no place for a second stream")
				p.letGo()
				first.Wait()
				require.NoError(t, s.Update(policy.ConcurrencyConfig{Limit: 1}))
				busy := park()
				wait := fill(s.Handler(busy), 1)
				require.Equal(t, http.StatusServiceUnavailable, ask(h), "no room in the main lane")
				require.Zero(t, s.Stats().Streams.InFlight)
				busy.letGo()
				wait()
			})
		})
	}
}

// hijack asks for an upgrade and returns the client's end of the connection.
func hijack(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	require.NoError(t, err)
	return conn
}

func TestHijackedConnectionHoldsItsPlaceUntilItIsClosed(t *testing.T) {
	for name, end := range map[string]func(){"return": func() {}, "panic": func() { panic(http.ErrAbortHandler) }} {
		t.Run(name, func(t *testing.T) {
			s := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
			conns := make(chan net.Conn, 1)
			returned := make(chan struct{})
			client := hijack(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(returned)
				s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					conn, rw, err := w.(http.Hijacker).Hijack()
					if err != nil {
						return
					}
					conns <- conn
					_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\n")
					_ = rw.Flush()
					end()
				})).ServeHTTP(w, r)
			}))
			line, err := bufio.NewReader(client).ReadString('\n')
			require.NoError(t, err)
			require.Contains(t, line, "101")
			<-returned
			conn := <-conns
			require.Zero(t, s.Stats().Main.InFlight)
			require.Equal(t, 1, s.Stats().Streams.InFlight)
			require.Implements(t, (*interface{ CloseWrite() error })(nil), conn)
			require.IsType(t, (*net.TCPConn)(nil), conn.(interface{ NetConn() net.Conn }).NetConn())
			require.NoError(t, conn.Close())
			require.Error(t, conn.Close())
			require.Zero(t, s.Stats().Streams.InFlight)
		})
	}
}

// Inbound trap 9.
func TestResetStreamsHoldTheirPlacesUntilTheirHandlersReturn(t *testing.T) {
	const limit, calls = 5, 200
	s := newShedder(t, policy.ConcurrencyConfig{Limit: limit})
	var running, peak, served atomic.Int64
	release := make(chan struct{})
	full := make(chan struct{})
	server := httptest.NewUnstartedServer(s.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := running.Add(1)
		for old := peak.Load(); n > old && !peak.CompareAndSwap(old, n); old = peak.Load() {
		}
		if served.Add(1) == limit {
			close(full)
		}
		<-release // whatever becomes of the stream
		running.Add(-1)
	})))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	ctx, reset := context.WithCancel(t.Context())
	var all sync.WaitGroup
	call := func(ctx context.Context) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			return
		}
		if resp, err := server.Client().Do(req); err == nil {
			resp.Body.Close()
		}
	}
	for range limit {
		all.Go(func() { call(ctx) })
	}
	<-full
	reset()
	all.Wait()
	for range calls {
		ctx, reset := context.WithCancel(t.Context())
		all.Go(func() { call(ctx) })
		reset()
	}
	all.Wait()
	require.Equal(t, limit, s.Stats().Main.InFlight)
	close(release)
	require.NoError(t, s.Drain(t.Context()))
	require.EqualValues(t, limit, peak.Load())
	require.Zero(t, s.Stats().Main.InFlight)
}

// slow is a client that takes its time to read, and to send.
type slow struct {
	*httptest.ResponseRecorder
	pause time.Duration
}

func (s slow) Write(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.ResponseRecorder.Write(p)
}

func (s slow) Read([]byte) (int, error) {
	time.Sleep(s.pause)
	return 0, io.EOF
}

func (slow) Close() error { return nil }

// Inbound trap 10.
func TestSlowClientsHoldNoPlace(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"reader": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 10<<10)) },
		"upload": func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) },
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
				client := slow{httptest.NewRecorder(), time.Minute}
				r := httptest.NewRequest(http.MethodPost, "/", client)
				var all sync.WaitGroup
				all.Go(func() { s.Handler(handler).ServeHTTP(client, r) })
				time.Sleep(49 * time.Millisecond)
				require.Equal(t, 1, s.Stats().Main.InFlight)
				time.Sleep(2 * time.Millisecond)
				require.Zero(t, s.Stats().Main.InFlight)
				require.Equal(t, 1, s.Stats().Streams.InFlight)
				require.Equal(t, http.StatusOK, get(s.Handler(http.HandlerFunc(ok)), "/").Code)
				all.Wait()
				st := s.Stats()
				require.Zero(t, st.Main.InFlight+st.Streams.InFlight)
				require.Equal(t, uint64(1), st.Stalls)
			})
		})
	}
}

// Inbound trap 10: stalled readers cost the others nothing.
func TestSlowClientsTakeNothingFromTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 5})
		h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(10 * time.Millisecond)
			_, _ = w.Write(make([]byte, 4<<10))
		}))
		var all sync.WaitGroup
		for range 500 {
			all.Go(func() {
				h.ServeHTTP(slow{httptest.NewRecorder(), time.Minute}, httptest.NewRequest(http.MethodGet, "/", nil))
			})
			time.Sleep(20 * time.Millisecond)
			all.Go(func() { get(h, "/") })
			time.Sleep(10 * time.Millisecond)
		}
		require.Zero(t, s.Stats().Main.Refused)
		require.Equal(t, uint64(1000), s.Stats().Main.Admitted)
		all.Wait()
		require.Zero(t, s.Stats().Main.InFlight+s.Stats().Streams.InFlight)
	})
}

func TestStallWithoutAPlaceKeepsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 2}, middleware.WithMaxStreams(1))
		h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 10<<10)) }))
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				h.ServeHTTP(slow{httptest.NewRecorder(), time.Minute}, httptest.NewRequest(http.MethodGet, "/", nil))
			})
		}
		time.Sleep(time.Second)
		require.Equal(t, 1, s.Stats().Main.InFlight)
		require.Equal(t, 1, s.Stats().Streams.InFlight)
		all.Wait()
		require.Zero(t, s.Stats().Main.InFlight+s.Stats().Streams.InFlight)
	})
}

func TestDrainWaitsForStalledClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
		resumed := time.Duration(0)
		began := time.Now()
		h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, 10<<10))
			resumed = time.Since(began)
			time.Sleep(time.Second)
		}))
		go h.ServeHTTP(slow{httptest.NewRecorder(), time.Minute}, httptest.NewRequest(http.MethodGet, "/", nil))
		time.Sleep(time.Second)
		require.Equal(t, 1, s.Stats().Streams.InFlight)
		require.NoError(t, s.Drain(t.Context()))
		require.Equal(t, time.Minute, resumed)
		require.Equal(t, time.Minute+time.Second, time.Since(began))
	})
}

// What is paused when it ends without a return gives all back.
func TestStalledHandlerThatPanicsGivesAllBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
		client := slow{httptest.NewRecorder(), time.Minute}
		require.Panics(t, func() {
			inside(s.Handler, client, httptest.NewRequest(http.MethodPost, "/", client), func(c call) {
				go func() { _, _ = io.Copy(io.Discard, c.r.Body) }()
				time.Sleep(time.Second)
				require.Zero(t, s.Stats().Main.InFlight)
				panic(http.ErrAbortHandler)
			})
		})
		require.Zero(t, s.Stats().Main.InFlight+s.Stats().Streams.InFlight)
		time.Sleep(time.Hour)
		require.Zero(t, s.Stats().Main.InFlight+s.Stats().Streams.InFlight)
	})
}

func TestFilesOfAFormAreRemoved(t *testing.T) {
	s := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(
		"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\nx\r\n--b--\r\n"))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	inside(s.Handler, httptest.NewRecorder(), r, func(c call) { require.NoError(t, c.r.ParseMultipartForm(1)) })
	require.NotNil(t, r.MultipartForm, "net/http removes the files of the request it made")
	require.NoError(t, r.MultipartForm.RemoveAll())
}
