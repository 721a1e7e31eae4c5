package middleware_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

// everybody is trusted.
var everybody = middleware.WithTrust(func(*http.Request) bool { return true })

func budgeted(header, value string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set(header, value)
	return r
}

func served(mw func(http.Handler) http.Handler, h http.HandlerFunc, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	mw(h).ServeHTTP(rec, r)
	return rec
}

func TestDeadlineIsTheCallersBudgetWithinBounds(t *testing.T) {
	trusted := middleware.WithTrustedPeers(netip.MustParsePrefix("192.0.2.0/24")) // where httptest's requests come from
	for _, tt := range []struct {
		name   string
		cfg    middleware.DeadlineConfig
		header string
		value  string
		opts   []middleware.Option
		want   time.Duration // zero: none
	}{
		{"default", middleware.DeadlineConfig{}, "", "", nil, 10 * time.Second},
		{"configured", middleware.DeadlineConfig{Max: time.Second}, "", "", nil, time.Second},
		{"unbounded", middleware.DeadlineConfig{Max: -1}, "", "", nil, 0},
		{"grpc", middleware.DeadlineConfig{}, "grpc-timeout", "2S", []middleware.Option{trusted}, 2 * time.Second},
		{"envoy", middleware.DeadlineConfig{}, "x-envoy-expected-rq-timeout-ms", "300", []middleware.Option{trusted}, 300 * time.Millisecond},
		{"own header", middleware.DeadlineConfig{Headers: []string{"x-time-left"}}, "X-Time-Left", "40", []middleware.Option{trusted}, 40 * time.Millisecond},
		{"not an own header", middleware.DeadlineConfig{Headers: []string{"x-time-left"}}, "grpc-timeout", "1S", []middleware.Option{trusted}, 10 * time.Second},
		{"clamped", middleware.DeadlineConfig{}, "grpc-timeout", "99999999H", []middleware.Option{trusted}, 10 * time.Second},
		{"unbounded but told", middleware.DeadlineConfig{Max: -1}, "grpc-timeout", "1H", []middleware.Option{trusted}, time.Hour},
		{"malformed", middleware.DeadlineConfig{}, "grpc-timeout", "-1S", []middleware.Option{trusted}, 10 * time.Second},
		{"untrusted", middleware.DeadlineConfig{}, "grpc-timeout", "2S", nil, 10 * time.Second},
		{"another peer", middleware.DeadlineConfig{}, "grpc-timeout", "2S", []middleware.Option{middleware.WithTrustedPeers(netip.MustParsePrefix("10.0.0.0/8"))}, 10 * time.Second},
		{"an offer of h2c", middleware.DeadlineConfig{}, "Upgrade", "h2c", nil, 10 * time.Second},
		{"an upgrade", middleware.DeadlineConfig{}, "Upgrade", "websocket", nil, 0},
		{"an event stream", middleware.DeadlineConfig{}, "Accept", "text/event-stream", nil, 0},
		{"named", middleware.DeadlineConfig{}, "", "", []middleware.Option{middleware.WithoutDeadline(func(*http.Request) bool { return true })}, 0},
		{"shadow", middleware.DeadlineConfig{}, "", "", []middleware.Option{middleware.WithShadow()}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var left time.Duration
				began := time.Now()
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				if tt.header != "" {
					r.Header.Set(tt.header, tt.value)
				}
				rec := served(middleware.Deadline(tt.cfg, tt.opts...), func(_ http.ResponseWriter, r *http.Request) {
					if d, ok := r.Context().Deadline(); ok {
						left = d.Sub(began)
					}
				}, r)
				require.Equal(t, http.StatusOK, rec.Code)
				require.Equal(t, tt.want, left)
			})
		})
	}
}

// Inbound trap 24.
func TestRequestWithTooLittleTimeIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		min         time.Duration
		refused     bool
	}{
		{"nothing left", "0m", 0, true},
		{"less than the default minimum", "999u", 0, true},
		{"the default minimum", "1m", 0, false},
		{"less than the minimum", "49m", 50 * time.Millisecond, true},
		{"the minimum", "50m", 50 * time.Millisecond, false},
		{"nothing left, without a minimum", "0n", -1, true},
		{"next to nothing left, without a minimum", "1n", -1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen, called := &told{}, false
				mw := middleware.Deadline(middleware.DeadlineConfig{Min: tt.min}, everybody, middleware.WithObserver(seen))
				rec := served(mw, func(http.ResponseWriter, *http.Request) { called = true }, budgeted("grpc-timeout", tt.value))
				require.Equal(t, !tt.refused, called)
				if !tt.refused {
					require.Empty(t, seen.decisions())
					return
				}
				require.Equal(t, http.StatusServiceUnavailable, rec.Code)
				require.NotEmpty(t, rec.Header().Get("Retry-After"))
				d := seen.only(t)
				require.Equal(t, policy.PolicyDeadline, d.Policy)
				require.Equal(t, policy.ActionRefuse, d.Action)
				require.Equal(t, policy.ReasonDeadlineUnmeetable, d.Reason)
				require.ErrorIs(t, d.Err, policy.ErrSaturated)
			})
		})
	}
}

func TestEarlierDeadlineOfTheContextStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		want, _ := ctx.Deadline()
		var got time.Time
		r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
		rec := served(middleware.Deadline(middleware.DeadlineConfig{}), func(w http.ResponseWriter, r *http.Request) {
			got, _ = r.Context().Deadline()
			<-r.Context().Done()
			w.WriteHeader(http.StatusTeapot) // whoever set it, answers for it
		}, r)
		require.Equal(t, http.StatusTeapot, rec.Code)
		require.Equal(t, want, got)
		rec = served(middleware.Deadline(middleware.DeadlineConfig{}), func(http.ResponseWriter, *http.Request) {}, r)
		require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	})
}

func TestHandlerWithoutAnAnswerInTimeIsAnsweredFor(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"late", func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			w.Header().Set("Content-Length", "7")
			w.Header().Set("ETag", `"x"`)
			w.WriteHeader(http.StatusOK)
			if _, err := io.WriteString(w, "too late"); !errors.Is(err, policy.ErrTimeout) {
				panic(err)
			}
		}},
		{"flushing", func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			if err := http.NewResponseController(w).Flush(); !errors.Is(err, policy.ErrTimeout) {
				panic(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen := &told{}
				mw := middleware.Deadline(middleware.DeadlineConfig{Max: time.Second}, middleware.WithObserver(seen))
				var cause error
				rec := served(mw, func(w http.ResponseWriter, r *http.Request) {
					tt.handler(w, r)
					cause = context.Cause(r.Context())
				}, httptest.NewRequest(http.MethodGet, "/", nil))
				require.Equal(t, http.StatusGatewayTimeout, rec.Code)
				require.Equal(t, "application/problem+json", rec.Header().Get("Content-Type"))
				require.JSONEq(t, `{"title":"Gateway Timeout","status":504,"detail":"The server did not answer in time."}`, rec.Body.String())
				require.Empty(t, rec.Header().Get("ETag"))
				require.Empty(t, rec.Header().Get("Content-Length"))
				require.ErrorIs(t, cause, policy.ErrTimeout)
				require.ErrorIs(t, cause, context.DeadlineExceeded)
				require.ErrorContains(t, cause, "no answer within 1s")
				d := seen.only(t)
				require.Equal(t, policy.ActionTimeout, d.Action)
				require.Equal(t, policy.ReasonOverrun, d.Reason)
				require.Equal(t, time.Second, d.Took)
			})
		})
	}
}

// Inbound trap 30.
func TestAnswerBegunAtTheDeadlineIsAbortedNeverAppendedTo(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "h1", true: "h2"}[h2], func(t *testing.T) {
			var failed error
			mw := middleware.Deadline(middleware.DeadlineConfig{Max: 50 * time.Millisecond})
			srv := httptest.NewUnstartedServer(mw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "begun")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				w.WriteHeader(http.StatusInternalServerError)
				_, failed = io.WriteString(w, "appended")
			})))
			srv.EnableHTTP2 = h2
			var logged strings.Builder
			srv.Config.ErrorLog = log.New(&logged, "", 0)
			srv.StartTLS()
			resp, err := srv.Client().Get(srv.URL)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.Error(t, err)
			require.Equal(t, "begun", string(body))
			require.Equal(t, http.StatusOK, resp.StatusCode)
			resp.Body.Close()
			srv.Client().CloseIdleConnections()
			srv.Close()
			require.ErrorIs(t, failed, policy.ErrTimeout)
			require.Empty(t, logged.String()) // no superfluous WriteHeader, no stack
		})
	}
}

// Inbound trap 30.
func TestAnswerFinishedInTimeIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flushed := errors.New("not yet")
		rec := served(middleware.Deadline(middleware.DeadlineConfig{Max: time.Second}), func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "done")
			time.Sleep(2 * time.Second)
			flushed = http.NewResponseController(w).Flush()
		}, httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, http.StatusOK, rec.Code)
		require.Equal(t, "done", rec.Body.String())
		require.NoError(t, flushed)
	})
}

// failingSource ends with the context, as what comes from elsewhere does.
type failingSource struct{ ctx context.Context }

func (s failingSource) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, context.Cause(s.ctx)
}

func TestAnswerWhoseSourceEndsAtTheDeadlineIsAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Deadline(middleware.DeadlineConfig{Max: time.Second})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, failingSource{r.Context()})
		}))
		require.PanicsWithValue(t, http.ErrAbortHandler, func() {
			h.ServeHTTP(readerFrom{httptest.NewRecorder()}, httptest.NewRequest(http.MethodGet, "/", nil))
		})
	})
}

func TestClientThatWentAwayIsNoOverrun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &told{}
		ctx, cancel := context.WithCancel(t.Context())
		mw := middleware.Deadline(middleware.DeadlineConfig{Max: time.Second}, middleware.WithObserver(seen))
		rec := served(mw, func(w http.ResponseWriter, _ *http.Request) {
			cancel()
			time.Sleep(2 * time.Second)
			w.WriteHeader(http.StatusAccepted)
		}, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
		require.Equal(t, http.StatusAccepted, rec.Code)
		require.Empty(t, seen.decisions())
	})
}

func TestPanicOfTheHandlerPassesThroughDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ctx context.Context
		h := middleware.Deadline(middleware.DeadlineConfig{})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			ctx = r.Context()
			panic(http.ErrAbortHandler)
		}))
		require.PanicsWithValue(t, http.ErrAbortHandler, func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		})
		require.ErrorIs(t, ctx.Err(), context.Canceled) // its timer is freed
	})
}

func TestShadowedDeadlineOnlyTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &told{}
		mw := middleware.Deadline(middleware.DeadlineConfig{}, everybody, middleware.WithShadow(), middleware.WithObserver(seen))
		late := func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(2 * time.Second)
			w.WriteHeader(http.StatusAccepted)
		}
		require.Equal(t, http.StatusAccepted, served(mw, late, budgeted("grpc-timeout", "0m")).Code)
		require.Equal(t, http.StatusAccepted, served(mw, late, budgeted("grpc-timeout", "1S")).Code)
		all := seen.decisions()
		require.Len(t, all, 2)
		require.Equal(t, policy.ActionRefuse, all[0].Action)
		require.Equal(t, policy.ActionTimeout, all[1].Action)
		require.True(t, all[0].Shadow && all[1].Shadow)
	})
}

func TestHijackedConnectionIsNotAnsweredFor(t *testing.T) {
	seen := &told{}
	mw := middleware.Deadline(middleware.DeadlineConfig{Max: 20 * time.Millisecond}, middleware.WithObserver(seen))
	srv := httptest.NewServer(mw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		<-r.Context().Done()
		_, _ = rw.WriteString("HTTP/1.1 204 No Content\r\n\r\n")
		_ = rw.Flush()
	})))
	resp, err := srv.Client().Get(srv.URL)
	require.NoError(t, err)
	resp.Body.Close()
	srv.Client().CloseIdleConnections()
	srv.Close()
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
	require.Empty(t, seen.decisions())
}

func TestRoutersNotesOnTheRequestAreCarriedOver(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /things/{id}", func(http.ResponseWriter, *http.Request) {})
	for name, mw := range map[string]func(http.Handler) http.Handler{
		"deadline": middleware.Deadline(middleware.DeadlineConfig{}),
		"priority": middleware.Priority(middleware.WithPriority(func(*http.Request) policy.Priority { return policy.Bulk })),
	} {
		r := httptest.NewRequest(http.MethodGet, "/things/1", nil)
		mw(mux).ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, "GET /things/{id}", r.Pattern, name)
	}
}

func TestDeadlineConfigReportsAllFaults(t *testing.T) {
	require.NoError(t, middleware.DeadlineConfig{}.Validate())
	require.NoError(t, middleware.DeadlineConfig{Max: -1, Min: time.Hour}.Validate())
	require.NoError(t, middleware.DeadlineConfig{Max: time.Microsecond}.Validate())
	err := middleware.DeadlineConfig{Max: time.Second, Min: time.Minute, Headers: []string{"fine", "not a name", ""}}.Validate()
	require.EqualError(t, err, "min: 1m0s: must be ≤ max, 1s\n"+
		"headers.1: \"not a name\": must be the name of a header\n"+
		"headers.2: \"\": must be the name of a header")
	require.Panics(t, func() { middleware.Deadline(middleware.DeadlineConfig{Headers: []string{""}}) })
}

func TestDeadlineAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := middleware.Deadline(middleware.DeadlineConfig{})(http.HandlerFunc(ok))
	w, r := plain{http.Header{}}, httptest.NewRequest(http.MethodGet, "/", nil)
	// The context takes four, the request's copy one, the cause two and the writer one.
	require.LessOrEqual(t, testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) }), 8.0)
}

func BenchmarkDeadline(b *testing.B) {
	h := middleware.Deadline(middleware.DeadlineConfig{})(http.HandlerFunc(ok))
	w, r := plain{http.Header{}}, httptest.NewRequest(http.MethodGet, "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

func BenchmarkDeadlineRefusal(b *testing.B) {
	h := middleware.Deadline(middleware.DeadlineConfig{}, everybody)(http.HandlerFunc(ok))
	w, r := plain{http.Header{}}, budgeted("grpc-timeout", "0m")
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
