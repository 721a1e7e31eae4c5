package transport_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// Trap 21: of a transport within a transport only the outer one retries.
func TestTrap21OnlyTheOuterOfNestedTransportsRetries(t *testing.T) {
	p := newPeer(status(http.StatusServiceUnavailable))
	seen := new(decisions)
	chain := transport.Config{Retry: &transport.Retry{InitialBackoff: 1}}
	inner := transport.New(p, chain, transport.WithObserver(seen))
	outer := transport.New(inner, chain)
	resp, err := outer.RoundTrip(get(t))
	require.NoError(t, err)
	require.Equal(t, "Service Unavailable", content(t, resp))
	require.Len(t, p.seen(), 3)
	require.Len(t, transport.Attempts(resp), 3)
	require.Equal(t, []policy.Reason{policy.ReasonNested, policy.ReasonNested, policy.ReasonNested},
		seen.reasons(policy.PolicyRetry, policy.ActionGiveUp))
	p.requireClosed(t)
}

// Trap 21: an inner transport's refusal is neither retried nor held against the
// peer by the outer one.
func TestTrap21RefusalOfAnInnerTransportIsNotTheOutersFailure(t *testing.T) {
	inner := transport.New(newPeer(status(http.StatusOK)), transport.Config{RateLimit: &policy.RateLimiterConfig{Limit: 1, MaxWait: -1}})
	outer := transport.New(inner, transport.Config{
		Retry:   &transport.Retry{InitialBackoff: 1},
		Breaker: &policy.CircuitBreakerConfig{FailureThreshold: 1},
	})
	resp, err := outer.RoundTrip(get(t))
	require.NoError(t, err)
	content(t, resp)
	for range 3 {
		_, err = outer.RoundTrip(get(t))
		require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
		require.Nil(t, transport.AttemptsOf(err))
	}
	require.Equal(t, policy.Closed, state(t, outer).Breaker.State)
}

// Trap 21: a transport further along a redirect is no nested one.
func TestTrap21RedirectIsNotNested(t *testing.T) {
	p := newPeer(
		status(http.StatusFound, "Location", "/there"),
		status(http.StatusServiceUnavailable),
		status(http.StatusOK),
	)
	client := &http.Client{Transport: transport.New(p, transport.Config{Retry: &transport.Retry{InitialBackoff: 1}})}
	resp, err := client.Get("http://peer.test/here")
	require.NoError(t, err)
	require.Equal(t, "OK", content(t, resp))
	require.Len(t, transport.Attempts(resp), 3, "the hop before included")
}

func TestUpgradePassesEveryRowBy(t *testing.T) {
	refusing := gateFunc(nil)
	for _, c := range []struct {
		name, method string
		header       http.Header
	}{
		{"upgrade", http.MethodGet, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}},
		{"connect", http.MethodConnect, http.Header{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := new(decisions)
			var got *http.Request
			tr := transport.New(roundTrip(func(req *http.Request) (*http.Response, error) {
				got = req
				return nil, errReset
			}), transport.Default(), transport.WithObserver(seen), transport.WithGate(refusing))
			req := request(t, c.method, "http://peer.test/", nil)
			req.Header = c.header
			_, err := tr.RoundTrip(req)
			require.Equal(t, errReset, err, "as it came")
			require.Same(t, req, got)
			require.Equal(t, []policy.Reason{policy.ReasonUpgrade}, seen.reasons(policy.PolicyGuard, policy.ActionBypass))
			require.Equal(t, "http://peer.test:80", seen.of(policy.PolicyGuard, policy.ActionBypass)[0].Key)
		})
	}
}

func TestKeyIsSchemeHostAndPort(t *testing.T) {
	cases := map[string]string{
		"http://peer.test/a?b":     "http://peer.test:80",
		"https://peer.test/":       "https://peer.test:443",
		"https://peer.test:8443/":  "https://peer.test:8443",
		"http://PEER.test/":        "http://peer.test:80",
		"http://peer.test:80/":     "http://peer.test:80",
		"http://[::1]/":            "http://[::1]:80",
		"http://[::1]:8080/":       "http://[::1]:8080",
		"http://user:pw@peer.test": "http://peer.test:80",
	}
	for url, want := range cases {
		tr := transport.New(newPeer(status(http.StatusOK)), transport.Default())
		resp, err := tr.RoundTrip(request(t, http.MethodGet, url, nil))
		require.NoError(t, err, url)
		content(t, resp)
		require.Equal(t, want, state(t, tr).Key, url)
	}
}

func TestWithKeySharesOneStateByName(t *testing.T) {
	tr := transport.New(newPeer(status(http.StatusOK)), transport.Default(),
		transport.WithKey(func(*http.Request) string { return "all" }))
	for _, url := range []string{"http://one.test/", "https://two.test/"} {
		resp, err := tr.RoundTrip(request(t, http.MethodGet, url, nil))
		require.NoError(t, err)
		content(t, resp)
	}
	require.Equal(t, "all", state(t, tr).Key)
	_, ok := tr.Breaker("all")
	require.True(t, ok)
	_, ok = tr.Breaker("http://one.test:80")
	require.False(t, ok)
}
