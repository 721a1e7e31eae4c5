package transport_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// after answers well after d, unless it is cut before.
func after(d time.Duration) answer {
	return func(req *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return status(http.StatusOK)(req)
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
}

// drip is a body of n bytes, one every second; it then hangs until it is closed,
// or ends.
type drip struct {
	n      int
	hangs  bool
	closed chan struct{}
}

func newDrip(n int) *drip { return &drip{n: n, closed: make(chan struct{})} }

func (d *drip) Read(p []byte) (int, error) {
	if d.n == 0 {
		if !d.hangs {
			return 0, io.EOF
		}
		<-d.closed
		return 0, http.ErrBodyReadAfterClose
	}
	time.Sleep(time.Second)
	d.n--
	p[0] = 'x'
	return 1, nil
}

func (d *drip) Close() error {
	select {
	case <-d.closed:
	default:
		close(d.closed)
	}
	return nil
}

func readAll(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }

// Trap 32: neither timeout cuts a request body that moves.
func TestTrap32LargeUploadThatMovesLives(t *testing.T) {
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base, _ := pipeServer(t, readAll)
				tr := transport.New(base, transport.Default())
				began := time.Now()
				resp, err := tr.RoundTrip(request(t, method, "http://peer.test/", newDrip(40)))
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, resp.StatusCode)
				content(t, resp)
				require.Len(t, transport.Attempts(resp), 1)
				require.GreaterOrEqual(t, time.Since(began), 40*time.Second)
			})
		})
	}
}

// Trap 32: a request body that stops moving dies: after the attempt timeout, or
// after the total when the try cannot be repeated.
func TestTrap32UploadThatStallsDies(t *testing.T) {
	stalling := func() *drip {
		d := newDrip(5)
		d.hangs = true
		return d
	}
	again := func() (io.ReadCloser, error) { return stalling(), nil }
	cases := []struct {
		name, method string
		getBody      func() (io.ReadCloser, error)
		firstTook    time.Duration
		tries        int
	}{
		{"repeatable", http.MethodPut, again, 15 * time.Second, 3},
		{"method", http.MethodPost, again, 35 * time.Second, 1},
		{"the only copy", http.MethodPut, nil, 35 * time.Second, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base, _ := pipeServer(t, readAll)
				tr := transport.New(base, transport.Default())
				req := request(t, c.method, "http://peer.test/", stalling())
				req.GetBody = c.getBody
				began := time.Now()
				_, err := tr.RoundTrip(req)
				require.ErrorIs(t, err, policy.ErrTimeout)
				tries := transport.AttemptsOf(err)
				if c.tries == 1 {
					require.Equal(t, c.firstTook, time.Since(began))
					require.Empty(t, tries)
					return
				}
				require.Len(t, tries, c.tries)
				require.Equal(t, c.firstTook, tries[0].Took)
			})
		})
	}
}

// Trap 32: once the upload is over, time counts plainly again.
func TestTrap32AnswerAfterTheUploadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, _ := pipeServer(t, func(w http.ResponseWriter, r *http.Request) {
			readAll(w, r)
			<-r.Context().Done()
		})
		tr := transport.New(base, transport.Default())
		began := time.Now()
		_, err := tr.RoundTrip(request(t, http.MethodPost, "http://peer.test/", newDrip(5)))
		require.ErrorIs(t, err, policy.ErrTimeout)
		require.Equal(t, 35*time.Second, time.Since(began))
	})
}

// Trap 34: a long poll is not cut at the attempt timeout by a try that nothing
// would follow.
func TestTrap34LongPollIsNotCutOnItsLastOrOnlyTry(t *testing.T) {
	cfg := transport.Default()
	cfg.Timeouts.Total = time.Minute
	cfg.Breaker = &policy.CircuitBreakerConfig{FailureThreshold: 3}
	once := cfg
	once.Retry = nil
	cases := []struct {
		name, method string
		cfg          transport.Config
		answers      []answer
		tries        int
	}{
		{"only try", http.MethodGet, once, []answer{after(25 * time.Second)}, 1},
		{"method", http.MethodPost, cfg, []answer{after(25 * time.Second)}, 1},
		{"last try", http.MethodGet, cfg, []answer{blackHole, blackHole, after(25 * time.Second)}, 3},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := transport.New(newPeer(c.answers...), c.cfg)
				resp, err := tr.RoundTrip(request(t, c.method, "http://peer.test/", nil))
				require.NoError(t, err)
				content(t, resp)
				require.Len(t, transport.Attempts(resp), c.tries)
				require.Equal(t, policy.Closed, state(t, tr).Breaker.State)
			})
		})
	}
}

// Trap 34: a budget that is used up makes every try the last.
func TestTrap34LongPollIsNotCutWithoutBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := transport.New(newPeer(after(25*time.Second)), transport.Config{
			Timeouts: &transport.Timeouts{},
			Retry:    &transport.Retry{Budget: &policy.BudgetConfig{Share: -1, PerSecond: -1, Burst: 1}},
		})
		resp, err := tr.RoundTrip(get(t))
		require.ErrorIs(t, err, policy.ErrTimeout, "cut at 10 s for a retry, which the total cut")
		require.Nil(t, resp)
		resp, err = tr.RoundTrip(get(t))
		require.NoError(t, err)
		content(t, resp)
	})
}

// plainContext is a caller's own Context type: it has no AfterFunc, and
// package context does not know it.
type plainContext struct{ done chan struct{} }

func (plainContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c plainContext) Done() <-chan struct{}     { return c.done }
func (plainContext) Err() error                  { return nil }
func (plainContext) Value(any) any               { return nil }

// Trap 37: a caller's own Context type costs no goroutine that outlives its
// call, however it ends.
func TestTrap37CustomContextKeepsNoGoroutine(t *testing.T) {
	cases := map[string]answer{
		"success": after(time.Second),
		"retries": status(http.StatusServiceUnavailable),
		"held":    status(http.StatusTooManyRequests, "Retry-After", "5"),
		"reset":   failing(errReset),
		"timeout": blackHole,
	}
	for name, a := range cases {
		t.Run(name, func(t *testing.T) {
			// The context never ends, so a goroutine that waits for it would be left,
			// and on such a one a bubble fails.
			synctest.Test(t, func(t *testing.T) {
				tr := transport.New(newPeer(a), fullChain())
				ctx := plainContext{make(chan struct{})}
				for range 10 {
					resp, err := tr.RoundTrip(get(t).WithContext(ctx))
					if err == nil {
						content(t, resp)
					}
				}
				synctest.Wait()
			})
		})
	}
}

func TestWithTimeoutsReplacesWhatItSets(t *testing.T) {
	chain := transport.Timeouts{Total: 30 * time.Second, Attempt: 10 * time.Second}
	cases := []struct {
		name string
		over transport.Timeouts
		took time.Duration // until the only try is cut; zero: it is not
	}{
		{"nothing", transport.Timeouts{}, 30 * time.Second},
		{"a shorter total", transport.Timeouts{Total: 2 * time.Second}, 2 * time.Second},
		{"a longer total", transport.Timeouts{Total: 50 * time.Second}, 50 * time.Second},
		{"no total", transport.Timeouts{Total: -1}, 0},
		{"neither", transport.Timeouts{Total: -1, Attempt: -1}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := transport.New(newPeer(after(time.Minute)), transport.Config{Timeouts: &chain})
				began := time.Now()
				req := get(t).WithContext(transport.WithTimeouts(t.Context(), c.over))
				resp, err := tr.RoundTrip(req)
				if c.took == 0 {
					require.NoError(t, err)
					content(t, resp)
					return
				}
				require.ErrorIs(t, err, policy.ErrTimeout)
				require.ErrorContains(t, err, c.took.String())
				require.Equal(t, c.took, time.Since(began))
			})
		})
	}
}

func TestWithTimeoutsWorksWithoutAnyInTheChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := transport.New(roundTrip(blackHole), transport.Config{})
		ctx := transport.WithTimeouts(t.Context(), transport.Timeouts{Total: time.Second})
		_, err := tr.RoundTrip(get(t).WithContext(ctx))
		require.ErrorIs(t, err, policy.ErrTimeout)
	})
}

func TestWithTimeoutsBoundsAStalledBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := transport.New(roundTrip(func(req *http.Request) (*http.Response, error) {
			return response(http.StatusOK, untilCancelled{req.Context()}), nil
		}), transport.Config{})
		ctx := transport.WithTimeouts(t.Context(), transport.Timeouts{BodyIdle: time.Second})
		resp, err := tr.RoundTrip(get(t).WithContext(ctx))
		require.NoError(t, err)
		_, err = io.ReadAll(resp.Body)
		require.ErrorIs(t, err, policy.ErrTimeout)
		require.NoError(t, resp.Body.Close())
	})
}

func TestEventStreamHasNoTimeToItsHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := transport.New(newPeer(after(10*time.Minute)), transport.Default())
		req := get(t)
		req.Header.Set("Accept", "text/event-stream")
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		content(t, resp)
		require.Len(t, transport.Attempts(resp), 1)
	})
}

func TestCallersDeadlineReplacesTheTotal(t *testing.T) {
	for _, deadline := range []time.Duration{5 * time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			tr := transport.New(roundTrip(blackHole), transport.Config{Timeouts: &transport.Timeouts{}})
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			began := time.Now()
			_, err := tr.RoundTrip(request(t, http.MethodPost, "http://peer.test/", strings.NewReader("x")).WithContext(ctx))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, deadline, time.Since(began))
		})
	}
}
