package transport_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// frugal is a chain of retries within a budget of one that only calls refill,
// one retry for every two.
func frugal(base http.RoundTripper, opts ...transport.Option) *transport.Transport {
	return transport.New(base, transport.Config{Retry: &transport.Retry{
		Budget: &policy.BudgetConfig{Share: 0.5, PerSecond: -1, Burst: 1},
	}}, opts...)
}

func tries(t *testing.T, tr *transport.Transport, url string) int {
	t.Helper()
	resp, err := tr.RoundTrip(request(t, http.MethodGet, url, nil))
	require.NoError(t, err)
	content(t, resp)
	return len(transport.Attempts(resp))
}

// Trap 20: without budget the response is returned at once and whole.
func TestTrap20EmptyBudgetReturnsTheResponseWithoutSleeping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := new(decisions)
		tr := frugal(newPeer(status(http.StatusServiceUnavailable)), transport.WithObserver(seen))
		tries(t, tr, "http://peer.test/")
		require.Contains(t, seen.reasons(policy.PolicyRetry, policy.ActionGiveUp), policy.ReasonBudget)

		began := time.Now()
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		require.Equal(t, "Service Unavailable", content(t, resp))
		require.Zero(t, time.Since(began))
		require.Len(t, transport.Attempts(resp), 1)
	})
}

// Trap 20: an empty budget is filled again by the calls that follow.
func TestTrap20BudgetRecoversWithTheCallsThatSucceed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, good := status(http.StatusServiceUnavailable), status(http.StatusOK)
		p := newPeer(bad, bad, good, good, bad, good)
		tr := frugal(p)
		require.Equal(t, 2, tries(t, tr, "http://peer.test/"), "one retry, and no budget for the next")
		require.Less(t, state(t, tr).BudgetTokens, 1.0)
		for range 2 {
			require.Equal(t, 1, tries(t, tr, "http://peer.test/"))
		}
		require.Equal(t, 1.0, state(t, tr).BudgetTokens)
		require.Equal(t, 2, tries(t, tr, "http://peer.test/"))
	})
}

// Trap 20: a retry that was answered, be it with a 404, costs nothing.
func TestTrap20AnsweredRetryIsRefunded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := frugal(newPeer(status(http.StatusServiceUnavailable), status(http.StatusNotFound)))
		require.Equal(t, 2, tries(t, tr, "http://peer.test/"))
		require.Equal(t, 1.0, state(t, tr).BudgetTokens)
	})
}

// Trap 20: an outage of one key leaves the others' budgets alone.
func TestTrap20BudgetIsPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := frugal(newPeer(status(http.StatusServiceUnavailable)))
		require.Equal(t, 2, tries(t, tr, "http://one.test/"))
		require.Equal(t, 1, tries(t, tr, "http://one.test/"))
		require.Equal(t, 2, tries(t, tr, "http://two.test/"))
	})
}
