package pool_test

import (
	"iter"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

// onlooker is an observer that looks at all that is shown to it.
type onlooker struct {
	diary

	statuses iter.Seq[policy.Status]
	stopped  int
}

func (o *onlooker) Watch(statuses iter.Seq[policy.Status]) (stop func()) {
	o.statuses = statuses
	return func() { o.stopped++ }
}

func TestPoolShowsItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(onlooker)
		p := open(t, new(works), pool.Config{MaxSize: 3, MinIdle: 1}, pool.WithKey("db"), pool.WithObserver(o))
		time.Sleep(time.Minute)
		first, second := lease(t, p), lease(t, p)
		time.Sleep(time.Second)
		first.Release()
		all := slices.Collect(o.statuses)
		require.Len(t, all, 1)
		s := all[0]
		require.InDelta(t, time.Minute+time.Second, s.Oldest, float64(time.Second))
		require.Positive(t, s.Newest)
		require.LessOrEqual(t, s.Newest, s.Oldest)
		s.Oldest, s.Newest = 0, 0
		require.Equal(t, policy.Status{Policy: policy.PolicyPool, Key: "db", Limit: 3, Active: 1, Idle: 2}, s)
		second.Release()
		require.NoError(t, p.Close(t.Context()))
		require.Equal(t, 1, o.stopped)
	})
}

func TestTransportShowsItsEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(onlooker)
		n := newNetwork(t)
		code := http.StatusOK
		n.serve("10.0.0.1:80", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
		n.serve("10.0.0.2:80", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		tr, err := pool.NewTransport(pool.TransportConfig{Outlier: &pool.OutlierConfig{Consecutive: 3}},
			pool.WithBase(n.base()), pool.WithTelemetry(nil), pool.WithObserver(o), pool.WithBalancer(pool.RoundRobin()),
			pool.WithResolver(pool.Static(map[string][]string{"api.test": {"10.0.0.1:80", "10.0.0.2:80"}})))
		require.NoError(t, err)
		get := func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://api.test/", nil)
			require.NoError(t, err)
			resp, err := tr.RoundTrip(req)
			require.NoError(t, err)
			resp.Body.Close()
		}
		get()
		get()
		time.Sleep(time.Second)
		all := slices.Collect(o.statuses)
		require.Len(t, all, 2)
		for i, address := range []string{"10.0.0.1:80", "10.0.0.2:80"} {
			s := all[i]
			require.Equal(t, policy.PolicyPool, s.Policy)
			require.Equal(t, "http://api.test:80", s.Key)
			require.Equal(t, address, s.Endpoint)
			require.Equal(t, "healthy", s.State)
			require.Equal(t, 1, s.Idle+s.Active)
			require.Equal(t, s.Oldest, s.Newest)
			require.InDelta(t, time.Second, s.Oldest, float64(time.Millisecond))
		}

		code = http.StatusBadGateway
		for range 6 {
			get()
		}
		all = slices.Collect(o.statuses)
		require.Equal(t, "ejected", all[1].State)
		require.Equal(t, 1, all[1].Ejections)
		require.InDelta(t, 30*time.Second, all[1].RetryAfter, float64(5*time.Second))
		for s := range o.statuses {
			require.Equal(t, "10.0.0.1:80", s.Endpoint)
			break
		}
		require.NoError(t, tr.Close())
		require.Equal(t, 1, o.stopped)
	})
}
