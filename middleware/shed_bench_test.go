package middleware_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

// nowhere is a ResponseWriter that costs nothing.
type nowhere struct{ header http.Header }

func (w nowhere) Header() http.Header         { return w.header }
func (w nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (w nowhere) WriteHeader(int)             {}

func shedders(t testing.TB) (around, refusing http.Handler, r *http.Request) {
	t.Helper()
	around = middleware.Shed(policy.ConcurrencyConfig{})(http.HandlerFunc(ok))
	full := middleware.Shed(policy.ConcurrencyConfig{Limit: 1})
	entered := make(chan struct{})
	p := park()
	done := make(chan struct{})
	refusing = full(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		p.ServeHTTP(w, r)
	}))
	go func() { defer close(done); get(refusing, "/") }()
	<-entered
	t.Cleanup(func() { p.letGo(); <-done })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server/", http.NoBody)
	require.NoError(t, err)
	return around, refusing, r
}

func TestShedAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	around, refusing, r := shedders(t)
	w := nowhere{http.Header{}}
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { around.ServeHTTP(w, r) }), 2.0)
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { refusing.ServeHTTP(w, r) }), 2.0)
}

func BenchmarkShed(b *testing.B) {
	around, refusing, r := shedders(b)
	w := nowhere{http.Header{}}
	for name, h := range map[string]http.Handler{"bare": http.HandlerFunc(ok), "around": around, "refusal": refusing} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
