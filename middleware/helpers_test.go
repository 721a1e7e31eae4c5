package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

func newShedder(t testing.TB, cfg policy.ConcurrencyConfig, opts ...middleware.Option) *middleware.Shedder {
	t.Helper()
	s, err := middleware.NewShedder(cfg, append([]middleware.Option{middleware.WithTelemetry(nil)}, opts...)...)
	require.NoError(t, err)
	return s
}

// get serves one GET as net/http does: what a handler panics with ends there.
func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	}()
	<-done
	return w
}

// inside runs f as the handler that h stands before.
func inside(h func(http.Handler) http.Handler, w http.ResponseWriter, r *http.Request, f func(call)) {
	h(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(call{w, r}) })).ServeHTTP(w, r)
}

// call is what a handler is given.
type call struct {
	w http.ResponseWriter
	r *http.Request
}

// parked is a handler whose requests stay until it is let go.
type parked struct{ gate chan struct{} }

func park() parked { return parked{make(chan struct{})} }

func (p parked) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	<-p.gate
	w.WriteHeader(http.StatusOK)
}

func (p parked) letGo() { close(p.gate) }

// fill puts n requests in flight; the returned function waits for them.
func fill(h http.Handler, n int) func() {
	var all sync.WaitGroup
	for range n {
		all.Go(func() { get(h, "/") })
	}
	synctest.Wait()
	return all.Wait
}

// told keeps decisions.
type told struct {
	mu  sync.Mutex
	all []policy.Decision // guarded by mu
}

func (o *told) Observe(_ context.Context, d policy.Decision) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, d)
}

func (o *told) last(t testing.TB) policy.Decision {
	o.mu.Lock()
	defer o.mu.Unlock()
	require.NotEmpty(t, o.all)
	return o.all[len(o.all)-1]
}

func (o *told) only(t testing.TB) policy.Decision {
	all := o.decisions()
	require.Len(t, all, 1)
	return all[0]
}

func (o *told) decisions() []policy.Decision {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.all)
}
