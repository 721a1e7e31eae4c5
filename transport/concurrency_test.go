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

// A try that a gate refuses after others have let it in was never sent: it has
// no time that could run out later, and no request body to cut then.
func TestTryThatIsNotMadeLeavesNoTimer(t *testing.T) {
	refused := errors.New("refused")
	gates := map[string]gateFunc{
		"refuses": func(context.Context) (policy.Permit, error) { return policy.Permit{}, refused },
		"panics":  func(context.Context) (policy.Permit, error) { panic(refused) },
	}
	for name, gate := range gates {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := transport.Default()
				cfg.Timeouts.Total = -1
				cfg.Concurrency = &policy.ConcurrencyConfig{}
				tr := transport.New(newPeer(status(http.StatusOK)), cfg, transport.WithGate(gate))
				body := bodyOf(strings.NewReader("upload"))
				req := request(t, http.MethodPut, "http://peer.test/", body)
				func() {
					defer func() { _ = recover() }()
					_, err := tr.RoundTrip(req)
					require.ErrorIs(t, err, refused)
				}()
				require.EqualValues(t, 1, body.closed.Load())
				requireGivenBack(t, tr)
				time.Sleep(50 * 365 * 24 * time.Hour) // the bubble's clock begins long before the process's
			})
		})
	}
}

// That the caller went away before a try was made is no sign of a slow peer.
func TestTryThatIsNotMadeTellsItsGatesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ends := 0
	admits := gateFunc(func(context.Context) (policy.Permit, error) {
		return policy.NewPermit(func(ctx context.Context, o policy.Outcome) {
			ends++
			require.Equal(t, policy.Ignored, o)
			require.NoError(t, ctx.Err())
		}), nil
	})
	waits := gateFunc(func(ctx context.Context) (policy.Permit, error) {
		cancel()
		return policy.Permit{}, context.Cause(ctx)
	})
	tr := transport.New(newPeer(status(http.StatusOK)), transport.Config{}, transport.WithGate(admits), transport.WithGate(waits))
	_, err := tr.RoundTrip(get(t).WithContext(ctx))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, ends)
}

// slots is an upstream that serves so many at once and keeps the rest waiting.
type slots struct {
	free              chan struct{}
	toHeaders, toBody time.Duration
	inside, done      atomic.Int64
}

func (s *slots) RoundTrip(req *http.Request) (*http.Response, error) {
	s.inside.Add(1)
	select {
	case s.free <- struct{}{}:
	case <-req.Context().Done():
		s.inside.Add(-1)
		return nil, req.Context().Err()
	}
	time.Sleep(s.toHeaders)
	content, end := io.Pipe()
	go func() {
		time.Sleep(s.toBody)
		<-s.free
		s.inside.Add(-1)
		s.done.Add(1)
		_ = end.Close()
	}()
	return response(http.StatusOK, content), nil
}

func TestConcurrencyFindsHowMuchTheUpstreamHasRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			room    = 4
			service = 40 * time.Millisecond
			overall = 20 * time.Second
			every   = service / room / 3 // three times what it has room for
		)
		up := &slots{free: make(chan struct{}, room), toHeaders: service / 4, toBody: service * 3 / 4}
		tr := transport.New(up, transport.Config{Concurrency: &policy.ConcurrencyConfig{}})
		var calls sync.WaitGroup
		var sum, samples, before int64
		for n, began := 0, time.Now(); time.Since(began) < overall; n++ {
			calls.Go(func() { callFor(t, tr, n) })
			time.Sleep(every)
			if time.Since(began) < overall/2 {
				before = up.done.Load()
				continue
			}
			sum += up.inside.Load()
			samples++
		}
		done := up.done.Load() - before
		calls.Wait()
		synctest.Wait()
		capacity := float64(room) * (overall / 2).Seconds() / service.Seconds()
		require.Greater(t, float64(done), 0.9*capacity, "goodput")
		require.Less(t, float64(sum)/float64(samples), 3.0*room, "in flight at the upstream")
		require.Zero(t, up.inside.Load())
		requireGivenBack(t, tr)
	})
}

// callFor makes a call; every tenth goes away early.
func callFor(t *testing.T, tr http.RoundTripper, n int) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if n%10 == 0 {
		defer time.AfterFunc(15*time.Millisecond, cancel).Stop()
	}
	resp, err := tr.RoundTrip(get(t).WithContext(ctx))
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
}

func TestFoundConcurrencyIsHeldToTheEndOfTheBody(t *testing.T) {
	tr := transport.New(newPeer(status(http.StatusOK)), transport.Config{Concurrency: &policy.ConcurrencyConfig{}})
	resp, err := tr.RoundTrip(get(t))
	require.NoError(t, err)
	require.Equal(t, 1, state(t, tr).Concurrency.InFlight)
	content(t, resp)
	require.Zero(t, state(t, tr).Concurrency.InFlight)
}
