package pool_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

// Pool trap 19.
func TestPoolTrap19StreamsBeyondTheLimitAllFinish(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		now.Add(-1)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	pt := newTransport(t, pool.TransportConfig{MaxInFlight: 1}, pool.WithBase(s.Client().Transport.(*http.Transport)))
	var all sync.WaitGroup
	var failed atomic.Int64
	for range 300 {
		all.Go(func() {
			if status, _, err := get(t.Context(), pt, s.URL); err != nil || status != http.StatusOK {
				failed.Add(1)
			}
		})
	}
	all.Wait()
	require.Zero(t, failed.Load())
	require.EqualValues(t, 1, most.Load())
	conns := pt.Snapshot().Targets[0].Endpoints[0].Conns
	require.Len(t, conns, 1)
	require.Equal(t, "h2", conns[0].Protocol)
}

func slow(d time.Duration) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	}
}

func TestAFullEndpointRefusesInThePoolsWords(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		cfg     pool.TransportConfig
		timeout time.Duration
		reason  policy.Reason
		after   time.Duration
	}{
		{"nobody may wait", pool.TransportConfig{MaxInFlight: 1, MaxWaiting: -1}, 0, policy.ReasonTooManyWaiters, 0},
		{"its time", pool.TransportConfig{MaxInFlight: 1, AcquireTimeout: time.Second}, 0, policy.ReasonAcquireTimeout, time.Second},
		{"the caller's deadline", pool.TransportConfig{MaxInFlight: 1}, 2 * time.Second, policy.ReasonAcquireTimeout, 2 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				n.serve(addrA, slow(time.Hour))
				var seen decisions
				pt := newTransport(t, c.cfg, pool.WithBase(n.base()), pool.WithObserver(&seen))
				go get(t.Context(), pt, "http://192.0.2.1")
				synctest.Wait()
				ctx := t.Context()
				if c.timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.timeout)
					defer cancel()
				}
				began := time.Now()
				_, _, err := get(ctx, pt, "http://192.0.2.1")
				require.ErrorIs(t, err, policy.ErrPoolExhausted)
				require.Equal(t, c.reason == policy.ReasonAcquireTimeout, errors.Is(err, context.DeadlineExceeded))
				var own *policy.Error
				require.ErrorAs(t, err, &own)
				require.Equal(t, c.reason, own.Reason)
				require.Equal(t, "http://192.0.2.1:80", own.Key)
				require.True(t, policy.Refused(err))
				require.ErrorContains(t, err, "1 of 1 requests in flight and 0 waiting at "+addrA)
				require.Equal(t, c.after, time.Since(began))
				require.Equal(t, 1, seen.count(policy.ActionRefuse, c.reason))
			})
		})
	}
}

func TestACallerWhoLeavesTheQueueGetsItsOwnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, slow(time.Hour))
		pt := newTransport(t, pool.TransportConfig{MaxInFlight: 1}, pool.WithBase(n.base()))
		go get(t.Context(), pt, "http://192.0.2.1")
		synctest.Wait()
		ctx, cancel := context.WithCancelCause(t.Context())
		bored := errors.New("bored")
		time.AfterFunc(time.Second, func() { cancel(bored) })
		_, _, err := get(ctx, pt, "http://192.0.2.1")
		require.Equal(t, bored, err)
		e := pt.Snapshot().Targets[0].Endpoints[0]
		require.Equal(t, 1, e.InFlight)
		require.Zero(t, e.Waiting)
	})
}

func TestAFullEndpointIsAvoidedWhileAnotherHasRoom(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]pool.Balancer{"round robin": pool.RoundRobin(), "two choices": pool.PowerOfTwo()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				names := three(n)
				n.serve(addrA, slow(time.Second))
				n.serve(addrB, slow(time.Second))
				n.serve(addrC, slow(time.Second))
				pt := newTransport(t, pool.TransportConfig{MaxInFlight: 10}, pool.WithBase(n.base()), pool.WithResolver(names), pool.WithBalancer(b))
				began := time.Now()
				var all sync.WaitGroup
				for range 30 {
					all.Go(func() {
						_, _, err := get(t.Context(), pt, site)
						require.NoError(t, err)
					})
					synctest.Wait()
				}
				all.Wait()
				require.Equal(t, time.Second, time.Since(began), "nobody waited")
			})
		})
	}
}

func TestThePermitEndsWithTheBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, says("a"))
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{MaxInFlight: 1}, pool.WithBase(n.base()), pool.WithObserver(&seen))
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://192.0.2.1", nil)
		first, err := pt.RoundTrip(req)
		require.NoError(t, err)
		time.AfterFunc(time.Second, func() { first.Body.Close() })
		began := time.Now()
		_, _, err = get(t.Context(), pt, "http://192.0.2.1")
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(began))
		waits := seen.of(policy.ActionWait, "")
		require.Len(t, waits, 1)
		require.Equal(t, time.Second, waits[0].Took)
		require.Equal(t, addrA, waits[0].Endpoint)
	})
}

// Pool trap 27.
func TestPoolTrap27ServersSeeTheNameNotTheAddress(t *testing.T) {
	t.Parallel()
	var sni, host atomic.Value
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		host.Store(r.Host)
		sni.Store(r.TLS.ServerName)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	base := s.Client().Transport.(*http.Transport).Clone()
	base.TLSClientConfig = &tls.Config{RootCAs: base.TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12}
	pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(base),
		pool.WithResolver(pool.Static(map[string][]string{"example.com": {s.Listener.Addr().String()}})))
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/x", nil)
	resp, err := pt.RoundTrip(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, "example.com", sni.Load())
	require.Equal(t, "example.com", host.Load())
	require.Equal(t, "https://example.com/x", resp.Request.URL.String())
	require.Same(t, req, resp.Request)
}

// Pool trap 28: also where the base has no session cache.
func TestPoolTrap28SessionsAreResumedAfterARotation(t *testing.T) {
	t.Parallel()
	var resumed atomic.Int64
	s := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.TLS.DidResume {
			resumed.Add(1)
		}
	}))
	defer s.Close()
	pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(s.Client().Transport.(*http.Transport)))
	for i := range int64(3) {
		_, _, err := get(t.Context(), pt, s.URL)
		require.NoError(t, err)
		require.Equal(t, i, resumed.Load())
		pt.Rotate("again")
	}
}
