package transport_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// throttling is a chain that only throttles.
func throttling(t transport.Throttle) transport.Config { return transport.Config{Throttle: &t} }

// working is an answer that takes a while, as a server does.
func working(d time.Duration, a answer) answer {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return a(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

// hold makes the peer's first answer, which is to hold the key.
func hold(t *testing.T, tr *transport.Transport) {
	t.Helper()
	resp, err := tr.RoundTrip(get(t))
	require.NoError(t, err)
	require.Equal(t, 429, resp.StatusCode)
	content(t, resp)
}

// crowd makes n calls at once and returns what came of them.
func crowd(t *testing.T, tr *transport.Transport, n int, req func() *http.Request) []error {
	errs := make([]error, n)
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			resp, err := tr.RoundTrip(req())
			if errs[i] = err; err == nil {
				_ = resp.Body.Close()
			}
		})
	}
	calls.Wait()
	return errs
}

// starts counts the tries per moment, in their order, from the second try on.
func starts(began time.Time, tries []try) (after []time.Duration, counts []int) {
	for _, one := range tries[1:] {
		at := one.at.Sub(began)
		if n := len(after); n == 0 || after[n-1] != at {
			after, counts = append(after, at), append(counts, 0)
		}
		counts[len(counts)-1]++
	}
	return after, counts
}

// Trap 22: a 429 holds the whole key, and the crowd that waited is let go one,
// two, four, … at a time, not as a stampede.
func TestTrap22HeldCallsWaitAndThenRamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const work = 100 * time.Millisecond
		p := newPeer(status(429, "Retry-After", "2"), working(work, status(200)))
		cfg := transport.Default()
		cfg.Retry = nil
		cfg.Concurrency = &policy.ConcurrencyConfig{Limit: 1000}
		var seen decisions
		tr := transport.New(p, cfg, transport.WithObserver(&seen))
		began := time.Now()
		hold(t, tr)
		require.Equal(t, 2*time.Second, state(t, tr).HeldFor)
		for _, err := range crowd(t, tr, 100, func() *http.Request { return get(t) }) {
			require.NoError(t, err)
		}
		after, counts := starts(began, p.seen())
		require.Equal(t, 2*time.Second, after[0], "a call went during the hold")
		require.Equal(t, []int{1, 2, 4, 8, 16, 32, 37}, counts)
		for i := range after {
			require.Equal(t, 2*time.Second+time.Duration(i)*work, after[i])
		}
		require.Equal(t, []policy.Reason{policy.ReasonTooManyRequests}, seen.reasons(policy.PolicyThrottle, policy.ActionHold))
		require.Len(t, seen.of(policy.PolicyThrottle, policy.ActionWait), 100)
		require.Equal(t, policy.Closed, state(t, tr).Breaker.State)
		require.Zero(t, state(t, tr).HeldFor)
		p.requireClosed(t)
		requireGivenBack(t, tr)

		// The ramp is over: a later crowd is not held back.
		before := len(p.seen())
		crowd(t, tr, 50, func() *http.Request { return get(t) })
		_, counts = starts(began, p.seen()[before-1:])
		require.Equal(t, []int{50}, counts)
	})
}

// Trap 22: 429 says nothing about the peer's health.
func TestTrap22TooManyRequestsDoesNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(429))
		cfg := transport.Default()
		cfg.Breaker = &policy.CircuitBreakerConfig{FailureThreshold: 1}
		cfg.Retry = nil
		tr := transport.New(p, cfg)
		for range 100 {
			hold(t, tr) // without Retry-After there is nothing to wait for
		}
		s := state(t, tr)
		require.Equal(t, policy.Closed, s.Breaker.State)
		require.Zero(t, s.Breaker.Failures)
		require.Zero(t, s.HeldFor)
	})
}

// Trap 22: the call that was told to wait is itself held no longer than that.
func TestTrap22RetryOfThe429GoesWhenTheHoldEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(429, "Retry-After", "2"), status(200))
		tr := transport.New(p, transport.Default())
		began := time.Now()
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		content(t, resp)
		require.InDelta(t, 2050*time.Millisecond, time.Since(began), float64(51*time.Millisecond))
	})
}

// Trap 22, again: a 429 in the middle of the ramp holds those who still wait,
// and they go after it, though nobody else comes.
func TestTrap22SecondHoldKeepsTheWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const work = 100 * time.Millisecond
		p := newPeer(
			status(429, "Retry-After", "2"),
			working(work, status(429, "Retry-After", "3")),
			working(work, status(200)),
		)
		tr := transport.New(p, throttling(transport.Throttle{}))
		began := time.Now()
		hold(t, tr)
		for _, err := range crowd(t, tr, 8, func() *http.Request { return get(t) }) {
			require.NoError(t, err)
		}
		after, counts := starts(began, p.seen())
		require.Equal(t, []int{1, 1, 2, 4}, counts)
		require.Equal(t, []time.Duration{
			2 * time.Second, 5*time.Second + work, 5*time.Second + 2*work, 5*time.Second + 3*work,
		}, after)
	})
}

// Trap 22, failing ramp: what does not come back well gives its place to one
// other call, not to two.
func TestTrap22FailuresDoNotWidenTheRamp(t *testing.T) {
	for name, bad := range map[string]answer{
		"error": failing(errReset), "429": status(429), "503": status(503),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const work = 100 * time.Millisecond
				p := newPeer(status(429, "Retry-After", "2"), working(work, bad))
				tr := transport.New(p, throttling(transport.Throttle{}))
				began := time.Now()
				hold(t, tr)
				crowd(t, tr, 5, func() *http.Request { return get(t) })
				_, counts := starts(began, p.seen())
				require.Equal(t, []int{1, 1, 1, 1, 1}, counts)
			})
		})
	}
}

// Trap 22: who cannot wait as long as the hold is told at once, and when to
// come back.
func TestTrap22HeldCallThatDoesNotFitIsRefusedAtOnce(t *testing.T) {
	total := transport.Config{Throttle: &transport.Throttle{}, Timeouts: &transport.Timeouts{Total: 5 * time.Second, Attempt: time.Second}}
	for _, c := range []struct {
		name     string
		cfg      transport.Config
		deadline time.Duration
	}{
		{name: "caller's deadline", cfg: throttling(transport.Throttle{}), deadline: 5 * time.Second},
		{name: "total timeout", cfg: total},
		{name: "MaxWait", cfg: throttling(transport.Throttle{MaxWait: 5 * time.Second})},
		{name: "MaxWait of none", cfg: throttling(transport.Throttle{MaxWait: -1})},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(status(429, "Retry-After", "10"), status(200))
				var seen decisions
				tr := transport.New(p, c.cfg, transport.WithObserver(&seen))
				hold(t, tr)
				time.Sleep(time.Second)
				ctx, cancel := context.WithCancel(t.Context())
				if c.deadline > 0 {
					ctx, cancel = context.WithTimeout(t.Context(), c.deadline)
				}
				defer cancel()
				began := time.Now()
				_, err := tr.RoundTrip(get(t).WithContext(ctx))
				require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
				own, _ := errors.AsType[*policy.Error](err)
				require.Equal(t, policy.ReasonKeyHeld, own.Reason)
				require.Equal(t, 9*time.Second, own.RetryAfter)
				require.Zero(t, time.Since(began))
				require.Len(t, p.seen(), 1)
				require.Len(t, seen.of(policy.PolicyThrottle, policy.ActionRefuse), 1)

				time.Sleep(9 * time.Second)
				resp, err := tr.RoundTrip(get(t))
				require.NoError(t, err)
				content(t, resp)
			})
		})
	}
}

// Trap 22: a place in the ramp that does not come in time is given up.
func TestTrap22RampIsWaitedForNoLongerThanMaxWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(429, "Retry-After", "2"), working(time.Minute, status(200)))
		tr := transport.New(p, throttling(transport.Throttle{MaxWait: 5 * time.Second}))
		hold(t, tr)
		began := time.Now()
		var refused, went int
		errs := crowd(t, tr, 10, func() *http.Request { return get(t) })
		for _, err := range errs {
			if err == nil {
				went++
				continue
			}
			refused++
			require.ErrorIs(t, err, policy.ErrRateLimitExceeded)
		}
		require.Equal(t, 1, went)
		require.Equal(t, 9, refused)
		require.Equal(t, 62*time.Second, time.Since(began))
	})
}

// Trap 22: no peer may hold a key for ever.
func TestTrap22MaxHoldBoundsTheHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(429, "Retry-After", "100000000000"), status(200))
		tr := transport.New(p, throttling(transport.Throttle{MaxHold: 7 * time.Second}))
		began := time.Now()
		hold(t, tr)
		require.Equal(t, 7*time.Second, state(t, tr).HeldFor)
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		content(t, resp)
		require.Equal(t, 7*time.Second, time.Since(began))
	})
}

// Trap 22: one instance's 503 does not hold the others; twenty in a row do.
func TestTrap22OnlyARunOfUnavailableHoldsTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy, well, broken := status(503, "Retry-After", "4"), status(200), failing(errReset)
		var answers []answer
		run := func(n int, last answer) {
			for range n {
				answers = append(answers, busy)
			}
			answers = append(answers, last)
		}
		run(19, well)
		run(19, broken)
		run(19, busy)
		p := newPeer(append(answers, well)...)
		var seen decisions
		tr := transport.New(p, throttling(transport.Throttle{}), transport.WithObserver(&seen))
		call := func() {
			time.Sleep(60 * time.Millisecond)
			resp, err := tr.RoundTrip(get(t))
			if err == nil {
				content(t, resp)
			}
		}
		for i := range answers {
			call()
			if i < len(answers)-1 {
				require.Zero(t, state(t, tr).HeldFor, "held after %d answers", i+1)
			}
		}
		require.Equal(t, 4*time.Second, state(t, tr).HeldFor)
		require.Equal(t, []policy.Reason{policy.ReasonUnavailable}, seen.reasons(policy.PolicyThrottle, policy.ActionHold))
		began := time.Now()
		call()
		require.Equal(t, 4*time.Second, time.Since(began))
		require.Zero(t, state(t, tr).HeldFor)
	})
}

// A server that sheds what it has no room for refuses many calls between two
// that it answers; that is no reason to hold back.
func TestManyUnavailableAtOnceHoldNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(503, "Retry-After", "4"))
		tr := transport.New(p, throttling(transport.Throttle{}))
		for range 1000 {
			resp, err := tr.RoundTrip(get(t))
			require.NoError(t, err)
			content(t, resp)
		}
		require.Zero(t, state(t, tr).HeldFor)
		time.Sleep(time.Second)
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		content(t, resp)
		require.Equal(t, 4*time.Second, state(t, tr).HeldFor)
	})
}

// Trap 22: who goes away while waiting, in the hold or in the ramp, leaves
// nothing behind and keeps nobody else waiting.
func TestTrap22CancelWhileWaitingLeavesNothing(t *testing.T) {
	for name, at := range map[string]time.Duration{
		"in the hold":             time.Second,
		"in the ramp":             2500 * time.Millisecond,
		"as a place becomes free": 3 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(status(429, "Retry-After", "2"), working(time.Second, status(200)))
				cfg := throttling(transport.Throttle{})
				cfg.Concurrency = &policy.ConcurrencyConfig{Limit: 100}
				tr := transport.New(p, cfg)
				hold(t, tr)
				gone := errors.New("caller gone")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(at, func() { cancel(gone) })
				var n atomic.Int32
				errs := crowd(t, tr, 20, func() *http.Request {
					if n.Add(1)%2 == 0 {
						return get(t).WithContext(ctx)
					}
					return get(t)
				})
				var left int
				for _, err := range errs {
					if err != nil {
						require.True(t, errors.Is(err, gone) || errors.Is(err, context.Canceled), "%v", err)
						left++
					}
				}
				require.LessOrEqual(t, left, 10)
				require.NotZero(t, left)
				p.requireClosed(t)
				requireGivenBack(t, tr)

				// The key is as free as if they had never been.
				began := time.Now()
				for _, err := range crowd(t, tr, 20, func() *http.Request { return get(t) }) {
					require.NoError(t, err)
				}
				require.LessOrEqual(t, time.Since(began), 6*time.Second)
			})
		})
	}
}

// Trap 22: a place that comes at the very moment at which its waiter goes away
// is passed on, not lost.
func TestTrap22PlaceOfOneWhoHasJustGoneIsPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			ctx, leave := context.WithCancel(t.Context())
			p := newPeer(
				status(429, "Retry-After", "1"),
				working(time.Second, func(r *http.Request) (*http.Response, error) {
					leave()
					return status(429)(r) // makes room for one, not for two
				}),
				status(200),
			)
			tr := transport.New(p, throttling(transport.Throttle{}))
			hold(t, tr)
			time.Sleep(time.Second)
			var calls sync.WaitGroup
			for _, of := range []context.Context{t.Context(), ctx, t.Context()} { // one goes, one leaves, one waits
				calls.Go(func() {
					resp, err := tr.RoundTrip(get(t).WithContext(of))
					if err == nil {
						_ = resp.Body.Close()
					}
				})
				synctest.Wait()
			}
			began := time.Now()
			calls.Wait()
			require.Equal(t, time.Second, time.Since(began))
		}
	})
}

// Trap 22: one key's hold is no other's.
func TestTrap22HoldIsOfOneKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(429, "Retry-After", "20"), status(200))
		tr := transport.New(p, throttling(transport.Throttle{}))
		hold(t, tr)
		began := time.Now()
		_, err := tr.RoundTrip(request(t, http.MethodGet, "http://other.test/", nil))
		require.NoError(t, err)
		require.Zero(t, time.Since(began))
	})
}
