package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// guarded is a chain of a breaker alone, which opens after five failures in a
// row for a minute.
func guarded(base http.RoundTripper, opts ...transport.Option) *transport.Transport {
	cfg := transport.Config{Breaker: &policy.CircuitBreakerConfig{FailureThreshold: 5, SuccessThreshold: 2, Cooldown: time.Minute}}
	return transport.New(base, cfg, opts...)
}

// trip opens the breaker of the peer, whose next five answers must be failures.
func trip(t *testing.T, tr *transport.Transport) {
	t.Helper()
	for range 5 {
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		content(t, resp)
	}
	require.Equal(t, policy.Open, state(t, tr).Breaker.State)
}

// Trap 13: a caller's cancel says nothing about the peer.
func TestTrap13CallersCancelLeavesAClosedBreakerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := guarded(roundTrip(blackHole))
		before := func() *policy.CircuitBreakerStats {
			ctx, cancel := context.WithCancel(t.Context())
			cancelled(t, tr, ctx, cancel)
			return state(t, tr).Breaker
		}()
		for range 1000 {
			ctx, cancel := context.WithCancel(t.Context())
			cancelled(t, tr, ctx, cancel)
		}
		after := state(t, tr).Breaker
		require.Equal(t, policy.Closed, after.State)
		require.Equal(t, before, after)
		require.Zero(t, after.Calls)
	})
}

// cancelled makes a call that its caller cancels after a second.
func cancelled(t *testing.T, tr *transport.Transport, ctx context.Context, cancel context.CancelFunc) {
	t.Helper()
	time.AfterFunc(time.Second, cancel)
	_, err := tr.RoundTrip(get(t).WithContext(ctx))
	require.ErrorIs(t, err, context.Canceled)
}

// Trap 13: a trial that its caller cancels gives its slot to the next call.
func TestTrap13CancelledTrialGivesItsSlotBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := status(http.StatusInternalServerError)
		p := newPeer(fail, fail, fail, fail, fail, blackHole, status(http.StatusOK))
		tr := guarded(p)
		trip(t, tr)
		time.Sleep(time.Minute)

		ctx, cancel := context.WithCancel(t.Context())
		cancelled(t, tr, ctx, cancel)
		st := state(t, tr).Breaker
		require.Equal(t, policy.HalfOpen, st.State)
		require.Zero(t, st.Trials)

		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.Equal(t, "OK", content(t, resp))
	})
}

// Trap 13: the body of a trial may be given up by its caller, too.
func TestTrap13CancelWithinTheBodyIsNeutral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := guarded(roundTrip(func(req *http.Request) (*http.Response, error) {
			return response(http.StatusOK, untilCancelled{req.Context()}), nil
		}))
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			resp, err := tr.RoundTrip(get(t).WithContext(ctx))
			require.NoError(t, err)
			time.AfterFunc(time.Second, cancel)
			_, err = io.ReadAll(resp.Body)
			require.ErrorIs(t, err, context.Canceled)
			require.NoError(t, resp.Body.Close())
		}
		require.Equal(t, policy.Closed, state(t, tr).Breaker.State)
	})
}

// untilCancelled is a body that hangs until its context ends.
type untilCancelled struct{ ctx context.Context }

func (b untilCancelled) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

// Trap 14: what a caller's deadline says depends on how much time it left.
func TestTrap14CallersDeadlineCountsOnlyWhenItLeftTimeToAnswer(t *testing.T) {
	cases := []struct {
		name     string
		usual    time.Duration // the key's time to headers
		deadline time.Duration
		want     policy.State
	}{
		{"too short to tell", 0, 90 * time.Millisecond, policy.Closed},
		{"longer than a hundred milliseconds", 0, 110 * time.Millisecond, policy.Open},
		{"short for a slow key", time.Second, 9 * time.Second, policy.Closed},
		{"long for a slow key", time.Second, 11 * time.Second, policy.Open},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(func(*http.Request) (*http.Response, error) {
					time.Sleep(c.usual)
					return response(http.StatusOK, http.NoBody), nil
				}, blackHole)
				tr := guarded(p)
				resp, err := tr.RoundTrip(get(t))
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				for range 5 {
					ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
					_, err := tr.RoundTrip(get(t).WithContext(ctx))
					require.ErrorIs(t, err, context.DeadlineExceeded)
					cancel()
				}
				require.Equal(t, c.want, state(t, tr).Breaker.State)
			})
		})
	}
}

// Trap 14: the time of an http.Client against a black hole must trip.
func TestTrap14ClientTimeoutAgainstABlackHoleTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := guarded(roundTrip(blackHole))
		client := &http.Client{Transport: tr, Timeout: 5 * time.Second}
		for range 5 {
			_, err := client.Get("http://peer.test/")
			require.Error(t, err)
		}
		require.Equal(t, policy.Open, state(t, tr).Breaker.State)
		_, err := client.Get("http://peer.test/")
		require.ErrorIs(t, err, policy.ErrCircuitOpen)
	})
}

// Trap 14: our own attempt timeout is the peer's failure.
func TestTrap14AttemptTimeoutIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := transport.New(roundTrip(blackHole), transport.Config{
			Timeouts: &transport.Timeouts{},
			Retry:    &transport.Retry{MaxRetries: 1},
			Breaker:  &policy.CircuitBreakerConfig{FailureThreshold: 1},
		})
		began := time.Now()
		_, err := tr.RoundTrip(get(t))
		require.ErrorIs(t, err, policy.ErrTimeout)
		require.Equal(t, 10*time.Second, time.Since(began))
		require.Equal(t, policy.Open, state(t, tr).Breaker.State)
	})
}

// Trap 15: a trial that hangs does not keep the breaker open for good, and what
// it reports late changes nothing.
func TestTrap15HungTrialMakesRoomForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := status(http.StatusInternalServerError)
		late := make(chan struct{})
		p := newPeer(fail, fail, fail, fail, fail, func(*http.Request) (*http.Response, error) {
			<-late
			return nil, errReset
		}, status(http.StatusOK))
		tr := guarded(p)
		trip(t, tr)
		time.Sleep(time.Minute)

		var hung sync.WaitGroup
		hung.Go(func() {
			_, err := tr.RoundTrip(get(t))
			require.ErrorIs(t, err, errReset)
		})
		synctest.Wait()
		_, err := tr.RoundTrip(get(t))
		require.ErrorIs(t, err, policy.ErrCircuitOpen, "while the trial may still answer")

		time.Sleep(30 * time.Second)
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		content(t, resp)

		close(late)
		hung.Wait()
		st := state(t, tr).Breaker
		require.Equal(t, policy.HalfOpen, st.State, "the late failure is ignored")
		require.Zero(t, st.Trials)
	})
}

// Trap 16: a thousand callers at the reopen instant are one trial.
func TestTrap16HalfOpenLetsOneCallThroughAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failing atomic.Bool
		var sent, inFlight, most atomic.Int32
		failing.Store(true)
		tr := guarded(roundTrip(func(*http.Request) (*http.Response, error) {
			if failing.Load() {
				return response(http.StatusBadGateway, strings.NewReader("")), nil
			}
			sent.Add(1)
			most.Store(max(most.Load(), inFlight.Add(1)))
			defer inFlight.Add(-1)
			time.Sleep(time.Second)
			return response(http.StatusOK, strings.NewReader("")), nil
		}))
		trip(t, tr)
		failing.Store(false)
		time.Sleep(time.Minute)

		var refused atomic.Int32
		var callers sync.WaitGroup
		for range 1000 {
			callers.Go(func() {
				resp, err := tr.RoundTrip(get(t))
				if errors.Is(err, policy.ErrCircuitOpen) {
					refused.Add(1)
					return
				}
				require.NoError(t, err)
				content(t, resp)
			})
		}
		callers.Wait()
		require.EqualValues(t, 1, most.Load())
		require.EqualValues(t, 1, sent.Load())
		require.EqualValues(t, 999, refused.Load())
	})
}

// Trap 17: calls of one generation, however they end, change nothing in a later.
func TestTrap17LateResultsNeverChangeALaterGeneration(t *testing.T) {
	for name, end := range map[string]answer{
		"success": status(http.StatusOK),
		"failure": failing(errReset),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				late := make(chan struct{})
				tr := guarded(roundTrip(func(req *http.Request) (*http.Response, error) {
					switch req.URL.Path {
					case "/late":
						<-late
						return end(req)
					case "/well":
						return status(http.StatusOK)(req)
					}
					return status(http.StatusBadGateway)(req)
				}))
				var begun sync.WaitGroup
				for range 20 {
					begun.Go(func() {
						if resp, err := tr.RoundTrip(request(t, http.MethodGet, "http://peer.test/late", nil)); err == nil {
							content(t, resp)
						}
					})
				}
				synctest.Wait()
				trip(t, tr)
				time.Sleep(time.Minute)
				resp, err := tr.RoundTrip(request(t, http.MethodGet, "http://peer.test/well", nil))
				require.NoError(t, err)
				content(t, resp)
				before := state(t, tr).Breaker
				require.Equal(t, policy.HalfOpen, before.State)

				close(late)
				begun.Wait()
				require.Equal(t, before, state(t, tr).Breaker)
			})
		})
	}
}

// Trap 17: permits that come back late make no room that was not there.
func TestTrap17LateResultsNeverAddRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(http.StatusOK))
		tr := transport.New(p, transport.Config{Concurrency: &policy.ConcurrencyConfig{Limit: 1}})
		first, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		content(t, first)
		second, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.NoError(t, first.Body.Close(), "the late end of the first")
		_, err = tr.RoundTrip(get(t))
		require.ErrorIs(t, err, policy.ErrSaturated)
		require.Equal(t, 1, state(t, tr).Concurrency.InFlight)
		content(t, second)
		requireGivenBack(t, tr)
	})
}
