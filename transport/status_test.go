package transport_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// onlooker is an observer that looks at all that is shown to it.
type onlooker struct {
	decisions

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

func TestTransportShowsEveryPartOfEveryKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(onlooker)
		cfg := fullChain()
		cfg.Retry = &transport.Retry{MaxRetries: -1}
		tr := transport.New(newPeer(status(http.StatusTooManyRequests, "Retry-After", "7")), cfg, transport.WithObserver(o))
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		content(t, resp)

		byPolicy := map[string]policy.Status{}
		for s := range o.statuses {
			require.Equal(t, "http://peer.test:80", s.Key)
			byPolicy[s.Policy] = s
		}
		require.Equal(t, "closed", byPolicy[policy.PolicyBreaker].State)
		require.Equal(t, cfg.RateLimit.Limit, byPolicy[policy.PolicyRateLimit].Limit)
		require.Equal(t, cfg.Concurrency.Limit, byPolicy[policy.PolicyConcurrency].Limit)
		require.Zero(t, byPolicy[policy.PolicyConcurrency].InFlight)
		require.Equal(t, 7*time.Second, byPolicy[policy.PolicyThrottle].RetryAfter)

		n := 0
		for range o.statuses {
			n++
			break
		}
		require.Equal(t, 1, n)
		runtime.KeepAlive(tr)
	})
}

func TestBudgetIsShown(t *testing.T) {
	o := new(onlooker)
	tr := transport.New(newPeer(status(http.StatusOK)), transport.Default(), transport.WithObserver(o))
	resp, err := tr.RoundTrip(get(t))
	require.NoError(t, err)
	content(t, resp)
	budgets := slices.DeleteFunc(slices.Collect(o.statuses), func(s policy.Status) bool { return s.Policy != policy.PolicyRetry })
	require.Len(t, budgets, 1)
	require.InDelta(t, 10, budgets[0].Tokens, 0.001)
	runtime.KeepAlive(tr)
}

func TestEveryTryIsAResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(onlooker)
		slow := func(a answer) answer {
			return func(req *http.Request) (*http.Response, error) {
				time.Sleep(20 * time.Millisecond)
				return a(req)
			}
		}
		tr := transport.New(
			newPeer(slow(status(http.StatusBadGateway)), slow(failing(errors.New("reset"))), slow(status(http.StatusOK)), blackHole),
			transport.Default(), transport.WithObserver(o), transport.WithTelemetry(nil))
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		ended := time.Now()
		content(t, resp)
		require.Len(t, o.results, 3)
		for i, outcome := range []policy.Outcome{policy.Failure, policy.Failure, policy.Success} {
			r := o.results[i]
			require.Equal(t, "http://peer.test:80", r.Key)
			require.Equal(t, outcome, r.Outcome)
			require.InDelta(t, 20*time.Millisecond, r.Took, 2)
			require.False(t, r.Inbound)
		}
		require.WithinDuration(t, ended, o.results[2].Ended, 2)

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = tr.RoundTrip(get(t).WithContext(ctx))
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, policy.Ignored, o.results[3].Outcome)
	})
}

func TestARefusalIsNoResult(t *testing.T) {
	o := new(onlooker)
	tr := transport.New(newPeer(status(http.StatusOK)), transport.Default(), transport.WithObserver(o))
	resp, err := tr.RoundTrip(get(t))
	require.NoError(t, err)
	content(t, resp)
	breaker, _ := tr.Breaker("http://peer.test:80")
	breaker.ForceOpen(t.Context())
	_, err = tr.RoundTrip(get(t))
	require.ErrorIs(t, err, policy.ErrCircuitOpen)
	require.Len(t, o.results, 1)
}
