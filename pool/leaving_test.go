package pool_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

// What leaves while somebody is about to use it.

func TestWhoWaitsAtAnEndpointThatLeavesGoesElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		names := &names{list: []string{"192.0.2.1"}}
		var atA atomic.Int64
		var seen decisions
		n.serve(addrA, func(w http.ResponseWriter, _ *http.Request) {
			atA.Add(1)
			time.Sleep(time.Hour)
			io.WriteString(w, "a")
		})
		n.serve(addrB, says("b"))
		pt := newTransport(t, pool.TransportConfig{MaxInFlight: 1, AcquireTimeout: -1, DrainTimeout: -1},
			pool.WithBase(n.base()), pool.WithResolver(names), pool.WithObserver(&seen))
		var all sync.WaitGroup
		var answers [3]string
		ask := func(i int) {
			all.Go(func() {
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, site, &body{Reader: http.NoBody})
				resp, err := pt.RoundTrip(req)
				require.NoError(t, err)
				defer resp.Body.Close()
				text, _ := io.ReadAll(resp.Body)
				answers[i] = string(text)
			})
			synctest.Wait()
		}
		ask(0)
		ask(1)
		require.Equal(t, 1, pt.Snapshot().Targets[0].Endpoints[0].Waiting)
		names.set(nil, "192.0.2.2")
		time.Sleep(31 * time.Second)
		began := time.Now()
		ask(2) // which has the addresses looked up
		all.Wait()
		require.Equal(t, [3]string{"a", "b", "b"}, answers)
		require.EqualValues(t, 1, atA.Load())
		require.Zero(t, seen.count(policy.ActionRefuse, policy.ReasonClosed))
		require.Less(t, time.Since(began), time.Hour)
	})
}

func TestARequestWhoseEndpointLeavesWhileItIsChosenGoesElsewhere(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*names, http.RoundTripper, context.Context){
		"the resolver no longer names it": func(n *names, rt http.RoundTripper, ctx context.Context) {
			n.set(nil, "192.0.2.2", "192.0.2.3")
			time.Sleep(31 * time.Second)
			_, _, _ = get(ctx, rt, site)
		},
		"its target is evicted": func(n *names, rt http.RoundTripper, ctx context.Context) {
			n.set(nil, "192.0.2.2", "192.0.2.3")
			_, _, _ = get(ctx, rt, "http://other.test")
		},
	}
	for name, leave := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				names := three(n)
				var pt *pool.Transport
				var chosen atomic.Int64
				pt = newTransport(t, pool.TransportConfig{MaxTargets: 1}, pool.WithBase(n.base()), pool.WithResolver(names),
					pool.WithBalancer(badBalancer(func(c pool.Candidates) int {
						if chosen.Add(1) == 1 {
							leave(names, pt, t.Context())
							time.Sleep(time.Second) // until it is closed
						}
						return 0
					})))
				require.Equal(t, map[string]int{"b": 1}, spread(t, pt, site, 1))
			})
		})
	}
}

func TestNoRequestFailsWhenItsTargetIsEvictedUnderIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, says("a"))
		for i := range 4 {
			n.serve(fmt.Sprintf("host-%d.test:80", i), says("a")) // for those that are too many
		}
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{MaxTargets: 2, MaxInFlight: 4}, pool.WithBase(n.base()),
			pool.WithResolver(&names{list: []string{"192.0.2.1"}}), pool.WithObserver(&seen))
		var all sync.WaitGroup
		var failed atomic.Int64
		for worker := range 8 {
			all.Go(func() {
				for i := range 100 {
					if _, text, err := get(t.Context(), pt, fmt.Sprintf("http://host-%d.test", (worker+i)%4)); err != nil || text != "a" {
						failed.Add(1)
					}
				}
			})
		}
		all.Wait()
		synctest.Wait()
		require.Zero(t, failed.Load())
		require.Greater(t, seen.count(policy.ActionRotate, policy.ReasonUnused), 2)
	})
}

func TestFirstRequestsBesideDrainAreAnsweredOrRefused(t *testing.T) {
	t.Parallel()
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			pt := newTransport(t, pool.TransportConfig{MaxInFlight: 2, Probe: &pool.ProbeConfig{Path: "/"}},
				pool.WithBase(n.base()), pool.WithResolver(three(n)))
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					if _, _, err := get(t.Context(), pt, fmt.Sprintf("http://host-%d.test", i%3)); err != nil {
						require.ErrorIs(t, err, policy.ErrClosed)
					}
				})
			}
			for range 3 {
				all.Go(func() { require.NoError(t, pt.Drain(t.Context())) })
			}
			all.Wait()
		})
	}
}

func TestDrainRefusesThoseWhoWaitForTheirFirstAddresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen decisions
		pt := newTransport(t, pool.TransportConfig{}, pool.WithObserver(&seen), pool.WithResolver(
			pool.ResolverFunc(func(ctx context.Context, _ string) ([]string, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})))
		failed := make(chan error, 1)
		go func() {
			_, _, err := get(t.Context(), pt, site)
			failed <- err
		}()
		synctest.Wait()
		require.NoError(t, pt.Close())
		require.ErrorIs(t, <-failed, policy.ErrClosed)
		require.Zero(t, seen.count(policy.ActionResolve, ""))
	})
}

func TestCloseCutsWhatDrainWaitsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.serve(addrA, slow(time.Hour))
		pt := newTransport(t, pool.TransportConfig{}, pool.WithBase(n.base()))
		failed := make(chan error)
		go func() {
			_, _, err := get(t.Context(), pt, "http://192.0.2.1")
			failed <- err
		}()
		synctest.Wait()
		drained := make(chan error)
		go func() { drained <- pt.Drain(t.Context()) }()
		synctest.Wait()
		began := time.Now()
		require.NoError(t, pt.Close())
		require.Error(t, <-failed)
		require.NoError(t, <-drained, "it cut nothing itself")
		require.Zero(t, time.Since(began))
	})
}
