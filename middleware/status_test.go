package middleware_test

import (
	"context"
	"iter"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

// onlooker is an observer that looks at all that is shown to it.
type onlooker struct {
	told

	statuses iter.Seq[policy.Status]
	results  []policy.Result
}

func (o *onlooker) Watch(statuses iter.Seq[policy.Status]) (stop func()) {
	o.statuses = statuses
	return func() {}
}

func (o *onlooker) ObserveResult(_ context.Context, r policy.Result) {
	o.results = append(o.results, r)
}

func TestShedderShowsItsLanes(t *testing.T) {
	o := new(onlooker)
	s := newShedder(t, policy.ConcurrencyConfig{Limit: 3}, middleware.WithObserver(o), middleware.WithMaxStreams(5))
	inside(s.Handler, httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), func(call) {
		require.Equal(t, []policy.Status{
			{Policy: policy.PolicyShed, Limit: 3, InFlight: 1},
			{Policy: policy.PolicyShed, Key: "health", Limit: 16},
			{Policy: policy.PolicyShed, Key: "stream", Limit: 5},
		}, slices.Collect(o.statuses))
	})
	runtime.KeepAlive(s)
}

func TestQuotaShowsItsLimits(t *testing.T) {
	o := new(onlooker)
	q, err := middleware.NewQuota(policy.RateLimiterConfig{Limit: 10}, middleware.ByPeerIP, middleware.WithTelemetry(nil),
		middleware.WithObserver(o), middleware.WithQuota("daily", policy.RateLimiterConfig{Limit: 1000, Per: 24 * time.Hour}))
	require.NoError(t, err)
	get(q.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), "/")
	require.Equal(t, []policy.Status{
		{Policy: policy.PolicyQuota, Key: "default", Limit: 10, Per: time.Second, Keys: 1},
		{Policy: policy.PolicyQuota, Key: "daily", Limit: 1000, Per: 24 * time.Hour, Keys: 1},
	}, slices.Collect(o.statuses))
	for s := range o.statuses {
		require.Equal(t, "default", s.Key)
		break
	}
	runtime.KeepAlive(q)
}

func TestARequestIsAResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(onlooker)
		s := newShedder(t, policy.ConcurrencyConfig{Limit: 3}, middleware.WithObserver(o))
		mux := http.NewServeMux()
		mux.Handle("GET /orders/{id}", s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(30 * time.Millisecond)
			w.WriteHeader(http.StatusInternalServerError)
		})))
		mux.Handle("GET /events", s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			time.Sleep(time.Hour)
		})))
		mux.Handle("GET /panic", s.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		})))
		get(mux, "/orders/42")
		get(mux, "/events")
		get(mux, "/panic")
		require.Len(t, o.results, 2, "how long a stream took says nothing")
		require.Equal(t, policy.Result{
			Inbound: true, Route: "GET /orders/{id}", Ended: o.results[0].Ended, Took: 30 * time.Millisecond,
			Outcome: policy.Failure,
		}, o.results[0])
		require.Equal(t, policy.Ignored, o.results[1].Outcome)
	})
}

// throwing is an onlooker that panics.
type throwing struct{ told }

func (*throwing) ObserveResult(context.Context, policy.Result) { panic("onlooker") }

func TestAnOnlookerThatPanicsCostsNoPlace(t *testing.T) {
	s := newShedder(t, policy.ConcurrencyConfig{Limit: 1}, middleware.WithObserver(new(throwing)))
	for range 3 {
		get(s.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), "/")
	}
	require.Zero(t, s.Stats().Main.InFlight)
	require.Equal(t, uint64(3), s.Stats().Main.Admitted)
}

func TestInShadowModeWhatIsLetThroughIsAResultToo(t *testing.T) {
	o := new(onlooker)
	s := newShedder(t, policy.ConcurrencyConfig{Limit: 1}, middleware.WithObserver(o), middleware.WithShadow())
	outer := s.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inner := s.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		inner.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/let-through", nil))
		flushing := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }))
		flushing.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/may-be-a-stream", nil))
	}))
	get(outer, "/")
	require.Len(t, o.results, 2)
	require.EqualValues(t, 2, s.Stats().Main.Refused)
}
