package pool_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

type badBalancer func(pool.Candidates) int

func (b badBalancer) Pick(c pool.Candidates) int { return b(c) }

func TestABalancerThatMisbehavesCostsNoRequestAndIsToldOnce(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, says string
		pick       badBalancer
	}{
		{"negative", "the balancer chose -1 of 3", func(pool.Candidates) int { return -1 }},
		{"beyond", "the balancer chose 3 of 3", func(c pool.Candidates) int { return c.Len() }},
		{"panics", "the balancer panicked: no", func(pool.Candidates) int { panic("no") }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				var seen decisions
				pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(three(n)),
					pool.WithBalancer(c.pick), pool.WithObserver(&seen))
				answers := spread(t, pt, site, 300)
				for _, body := range []string{"a", "b", "c"} {
					require.Greater(t, answers[body], 50, "the load stays spread")
				}
				told := seen.of(policy.ActionBypass, policy.ReasonBalancer)
				require.Len(t, told, 1)
				require.EqualError(t, told[0].Err, c.says)
				require.Equal(t, c.says, pt.Snapshot().BalancerErr)
			})
		})
	}
}

func TestABalancerThatBehavesIsNotToldOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()), pool.WithResolver(three(n)), pool.WithObserver(&seen))
		spread(t, pt, site, 30)
		require.Zero(t, seen.count(policy.ActionBypass, policy.ReasonBalancer))
		require.Empty(t, pt.Snapshot().BalancerErr)
	})
}

func TestALatencyFadesWhileNobodyAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) })
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()))
		latency := func() time.Duration { return pt.Snapshot().Targets[0].Endpoints[0].Latency }
		_, _, err := get(t.Context(), pt, "http://192.0.2.1")
		require.NoError(t, err)
		require.Equal(t, time.Second, latency())
		time.Sleep(10 * time.Second)
		require.Equal(t, time.Second/2, latency())
		time.Sleep(20 * time.Second)
		require.Equal(t, time.Second/4, latency())
	})
}
