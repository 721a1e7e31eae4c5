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

func shedders(t testing.TB, opts ...middleware.Option) (around, refusing http.Handler, r *http.Request) {
	t.Helper()
	around = middleware.Shed(policy.ConcurrencyConfig{}, opts...)(http.HandlerFunc(ok))
	full := middleware.Shed(policy.ConcurrencyConfig{Limit: 1}, opts...)
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

// Inbound trap 31.
func TestShedAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	w := nowhere{http.Header{}}
	for name, c := range map[string]struct {
		opts            []middleware.Option
		around, refused float64
	}{
		"plain":      {nil, 1, 1},
		"priorities": {[]middleware.Option{critical}, 3, 2},
	} {
		around, refusing, r := shedders(t, c.opts...)
		require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { around.ServeHTTP(w, r) }), c.around, name)
		require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { refusing.ServeHTTP(w, r) }), c.refused, name)
	}
}

var critical = middleware.WithPriority(func(*http.Request) policy.Priority { return policy.Critical })

func BenchmarkShed(b *testing.B) {
	around, refusing, r := shedders(b)
	ranked, refusingRanked, _ := shedders(b, critical)
	w := nowhere{http.Header{}}
	for name, h := range map[string]http.Handler{
		"bare": http.HandlerFunc(ok), "around": around, "refusal": refusing,
		"around, priorities": ranked, "refusal, priorities": refusingRanked,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
