package transport_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// Trap 31: an observer may ask the transport about everything: no lock is held.
func TestTrap31ObserverMayCallBackIntoTheTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tr *transport.Transport
		states := map[policy.Action]policy.State{}
		calls := 0
		observer := policy.ObserverFunc(func(ctx context.Context, d policy.Decision) {
			calls++
			for s := range tr.States() {
				require.Equal(t, d.Key, s.Key)
			}
			b, ok := tr.Breaker("http://peer.test:80")
			require.True(t, ok)
			if d.Policy == policy.PolicyBreaker {
				states[d.Action] = b.State()
			}
			require.Equal(t, b.State(), b.Stats().State)
		})
		cfg := fullChain()
		cfg.Breaker = &policy.CircuitBreakerConfig{FailureThreshold: 2, SuccessThreshold: 1, Cooldown: time.Second}
		bad := status(http.StatusServiceUnavailable)
		tr = transport.New(newPeer(bad, bad, status(http.StatusOK), status(http.StatusTooManyRequests, "Retry-After", "1"), status(http.StatusOK)),
			cfg, transport.WithObserver(observer))
		resp, err := tr.RoundTrip(get(t)) // two failures open
		require.NoError(t, err)
		content(t, resp)
		_, err = tr.RoundTrip(get(t))
		require.ErrorIs(t, err, policy.ErrCircuitOpen)
		time.Sleep(time.Second)
		for range 2 { // a trial closes, a 429 holds and is waited for
			resp, err = tr.RoundTrip(get(t))
			require.NoError(t, err)
			content(t, resp)
		}
		require.Equal(t, policy.Open, states[policy.ActionOpen])
		require.Equal(t, policy.Open, states[policy.ActionRefuse])
		require.Equal(t, policy.HalfOpen, states[policy.ActionHalfOpen])
		require.Equal(t, policy.Closed, states[policy.ActionClose])
		require.Greater(t, calls, 5)
	})
}

// Trap 31: what an observer takes, its own caller waits, and nobody else.
func TestTrap31SlowObserverDelaysItsOwnCallerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		observer := policy.ObserverFunc(func(_ context.Context, d policy.Decision) {
			if d.Action == policy.ActionOpen {
				time.Sleep(time.Second)
			}
		})
		fail := status(http.StatusBadGateway)
		tr := guarded(newPeer(fail, fail, fail, fail, fail, status(http.StatusOK)), transport.WithObserver(observer))
		var slow sync.WaitGroup
		slow.Go(func() {
			began := time.Now()
			for range 5 {
				resp, err := tr.RoundTrip(get(t))
				require.NoError(t, err)
				content(t, resp)
			}
			require.Equal(t, time.Second, time.Since(began))
		})
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		began := time.Now()
		_, err := tr.RoundTrip(get(t))
		require.ErrorIs(t, err, policy.ErrCircuitOpen)
		resp, err := tr.RoundTrip(request(t, http.MethodGet, "http://other.test/", nil))
		require.NoError(t, err)
		content(t, resp)
		require.Zero(t, time.Since(began))
		slow.Wait()
	})
}

// Trap 31: a transition tells what had been counted before it.
func TestTrap31TransitionsTellTheCountsBeforeTheReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := new(decisions)
		fail := status(http.StatusBadGateway)
		tr := guarded(newPeer(fail, fail, fail, fail, fail, status(http.StatusOK)), transport.WithObserver(seen))
		trip(t, tr)
		time.Sleep(time.Minute)
		for range 2 {
			resp, err := tr.RoundTrip(get(t))
			require.NoError(t, err)
			content(t, resp)
		}
		opened := seen.of(policy.PolicyBreaker, policy.ActionOpen)
		require.Len(t, opened, 1)
		require.Equal(t, 5, opened[0].Failures)
		require.Equal(t, policy.ReasonFailuresInARow, opened[0].Reason)
		require.Equal(t, "http://peer.test:80", opened[0].Key)
		require.Equal(t, 1, opened[0].Attempt)
		closed := seen.of(policy.PolicyBreaker, policy.ActionClose)
		require.Len(t, closed, 1)
		require.Equal(t, 2, closed[0].Calls)
		require.Zero(t, closed[0].Failures)
		require.Zero(t, state(t, tr).Breaker.Calls)
	})
}
