package middleware_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

func TestShedMountedTwiceCountsOnce(t *testing.T) {
	s := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
	other := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
	h := s.Handler(other.Handler(s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s.Stats().Main.InFlight != 1 || other.Stats().Main.InFlight != 1 {
			w.WriteHeader(http.StatusTeapot)
		}
	}))))
	require.Equal(t, http.StatusOK, get(h, "/").Code)
	require.Equal(t, uint64(1), s.Stats().Main.Admitted)
}

func TestShedMountedTwiceCountsOnceWhateverWrapsTheWriterBetween(t *testing.T) {
	between := map[string]func(http.Handler) http.Handler{
		"Deadline":     middleware.Deadline(middleware.DeadlineConfig{}, middleware.WithTelemetry(nil)),
		"chi's Logger": chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: log.New(io.Discard, "", 0), NoColor: true}),
		"Priority": middleware.Priority(middleware.WithPriority(
			func(*http.Request) policy.Priority { return policy.Bulk })),
	}
	for name, wrap := range between {
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
		h := s.Handler(wrap(s.Handler(http.HandlerFunc(ok))))
		require.Equal(t, http.StatusOK, get(h, "/").Code, name)
		require.Equal(t, uint64(1), s.Stats().Main.Admitted, name)
	}
}

func TestRoutesShareOneShedder(t *testing.T) {
	routers := map[string]func(func(http.Handler) http.Handler, http.Handler) http.Handler{
		"chi, above": func(shed func(http.Handler) http.Handler, h http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Use(shed)
			r.Handle("/a/{id}", h)
			r.Handle("/b/{id}", h)
			return r
		},
		"chi, per route": func(shed func(http.Handler) http.Handler, h http.Handler) http.Handler {
			r := chi.NewRouter()
			r.With(shed).Handle("/a/{id}", h)
			r.With(shed).Handle("/b/{id}", h)
			return r
		},
		"ServeMux, above": func(shed func(http.Handler) http.Handler, h http.Handler) http.Handler {
			r := http.NewServeMux()
			r.Handle("/a/{id}", h)
			r.Handle("/b/{id}", h)
			return shed(r)
		},
		"ServeMux, per route": func(shed func(http.Handler) http.Handler, h http.Handler) http.Handler {
			r := http.NewServeMux()
			r.Handle("/a/{id}", shed(h))
			r.Handle("/b/{id}", shed(h))
			return r
		},
	}
	for name, mount := range routers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
				p := park()
				h := mount(s.Handler, p)
				first := make(chan int)
				go func() { first <- get(h, "/a/1").Code }()
				synctest.Wait()
				require.Equal(t, http.StatusServiceUnavailable, get(h, "/b/2").Code)
				p.letGo()
				require.Equal(t, http.StatusOK, <-first)
			})
		})
	}
}

func TestRequestStaysAsItCame(t *testing.T) {
	for name, opts := range map[string][]middleware.Option{"plain": nil, "priorities": {critical}} {
		body := io.NopCloser(strings.NewReader("upload"))
		r := httptest.NewRequest(http.MethodPost, "/", body)
		ctx, read := r.Context(), ""
		inside(newShedder(t, policy.ConcurrencyConfig{Limit: 1}, opts...).Handler, httptest.NewRecorder(), r, func(c call) {
			content, err := io.ReadAll(c.r.Body)
			require.NoError(t, err)
			read = string(content)
		})
		require.Equal(t, "upload", read, name)
		require.True(t, r.Body == body && r.Context() == ctx, name)
	}
}

func TestPatternIsSeenFromOutside(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", ok)
	h := newShedder(t, policy.ConcurrencyConfig{Limit: 1}).Handler(mux)
	r := httptest.NewRequest(http.MethodGet, "/users/1", nil)
	h.ServeHTTP(httptest.NewRecorder(), r)
	require.Equal(t, "GET /users/{id}", r.Pattern)
}
