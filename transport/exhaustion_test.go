package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// Trap 11: when the retries run out on answers, the last is the caller's.
func TestTrap11ExhaustionKeepsTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(502), status(504), status(503))
		tr := transport.New(p, transport.Default())
		resp, err := (&http.Client{Transport: tr}).Do(get(t))
		require.NoError(t, err)
		require.Equal(t, 503, resp.StatusCode)
		require.Zero(t, p.bodies[2].read.Load(), "read ahead of the caller")
		require.Equal(t, http.StatusText(503), content(t, resp))
		require.Equal(t, []int{502, 504, 503}, statuses(transport.Attempts(resp)))
		p.requireClosed(t)
		requireGivenBack(t, tr)
	})
}

func statuses(tries []transport.Attempt) []int {
	var all []int
	for _, a := range tries {
		all = append(all, a.StatusCode)
	}
	return all
}

// Trap 11, errors: when they run out on errors, the last is wrapped, with the
// count and the history.
func TestTrap11ExhaustionOnErrorsTellsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(503), failing(io.ErrUnexpectedEOF), failing(errReset))
		tr := transport.New(p, transport.Default())
		resp, err := (&http.Client{Transport: tr}).Do(get(t))
		require.Nil(t, resp)
		require.ErrorIs(t, err, policy.ErrMaxRetriesExceeded)
		require.ErrorIs(t, err, errReset)
		own, ok := errors.AsType[*policy.Error](err)
		require.True(t, ok)
		require.Equal(t, 3, own.Attempts)
		require.Contains(t, err.Error(), "after 3 attempts")
		history := transport.AttemptsOf(err)
		require.Equal(t, []int{503, 0, 0}, statuses(history))
		require.ErrorIs(t, history[1].Err, io.ErrUnexpectedEOF)
		p.requireClosed(t)
		requireGivenBack(t, tr)
	})
}

// Trap 11, refused: when a gate refuses the retry, the response before is still
// whole.
func TestTrap11RefusedRetryKeepsTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(503))
		tr := transport.New(p, transport.Config{
			Retry:     &transport.Retry{},
			RateLimit: &policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: time.Millisecond},
		})
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.Equal(t, 503, resp.StatusCode)
		require.Zero(t, p.bodies[0].read.Load())
		require.Equal(t, http.StatusText(503), content(t, resp))
		require.Len(t, p.seen(), 1)
		require.Len(t, transport.Attempts(resp), 1)
		p.requireClosed(t)
	})
}

// Trap 11, open: a breaker that opens during the backoff ends it, and the
// response before is the caller's at once.
func TestTrap11BreakerThatOpensDuringTheBackoffKeepsTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(503, "Retry-After", "20"))
		tr := transport.New(p, transport.Default())
		time.AfterFunc(time.Second, func() {
			b, _ := tr.Breaker("http://peer.test:80")
			b.ForceOpen(t.Context())
		})
		began := time.Now()
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(began))
		require.Equal(t, http.StatusText(503), content(t, resp))
		p.requireClosed(t)
	})
}

// Trap 11, gone: a caller who goes away during the backoff gets its own error
// and the response is closed.
func TestTrap11CancelDuringTheBackoffClosesTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(503, "Retry-After", "20"))
		tr := transport.New(p, transport.Default())
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("caller gone")
		time.AfterFunc(time.Second, func() { cancel(gone) })
		began := time.Now()
		resp, err := tr.RoundTrip(get(t).WithContext(ctx))
		require.Nil(t, resp)
		require.ErrorIs(t, err, gone)
		require.Equal(t, time.Second, time.Since(began))
		synctest.Wait()
		p.requireClosed(t)
		requireGivenBack(t, tr)
	})
}
