package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// fullChain has every part that gives something out.
func fullChain() transport.Config {
	cfg := transport.Default()
	cfg.Concurrency = &policy.ConcurrencyConfig{Limit: 1}
	cfg.RateLimit = &policy.RateLimiterConfig{Limit: 1000}
	return cfg
}

// Trap 28: whatever panics on the way gives back all permits and slots, closes
// the request body, and the panic reaches the caller.
func TestTrap28PanicGivesEverythingBackAndIsRaisedAgain(t *testing.T) {
	boom := errors.New("boom")
	gate := gateFunc(func(context.Context) (policy.Permit, error) { panic(boom) })
	cases := []struct {
		name string
		base http.RoundTripper
		opt  transport.Option
	}{
		{"base", roundTrip(func(*http.Request) (*http.Response, error) { panic(boom) }), nil},
		{"signer", newPeer(status(http.StatusOK)), transport.WithSigner(func(*http.Request) error { panic(boom) })},
		{"classifier", newPeer(status(http.StatusOK)), transport.WithClassifier(
			func(*http.Response, error, transport.Verdict) transport.Verdict { panic(boom) })},
		{"gate", newPeer(status(http.StatusOK)), transport.WithGate(gate)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var opts []transport.Option
			if c.opt != nil {
				opts = append(opts, c.opt)
			}
			tr := transport.New(c.base, fullChain(), opts...)
			for range 3 { // a permit that was kept would refuse the second
				body := bodyOf(strings.NewReader("upload"))
				req := request(t, http.MethodPost, "http://peer.test/", body)
				require.PanicsWithValue(t, boom, func() { _, _ = tr.RoundTrip(req) })
				require.EqualValues(t, 1, body.closed.Load())
			}
			requireGivenBack(t, tr)
			if p, ok := c.base.(*peer); ok {
				p.requireClosed(t)
			}
		})
	}
}

// Trap 28: Goexit in the base gives everything back, too.
func TestTrap28GoexitGivesEverythingBack(t *testing.T) {
	tr := transport.New(roundTrip(func(*http.Request) (*http.Response, error) {
		runtime.Goexit()
		return nil, nil
	}), fullChain())
	for range 3 {
		body := bodyOf(strings.NewReader("upload"))
		req := request(t, http.MethodPost, "http://peer.test/", body)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = tr.RoundTrip(req)
		}()
		<-ended
		require.EqualValues(t, 1, body.closed.Load())
		requireGivenBack(t, tr)
	}
}

// Trap 28: a retry that panics loses the response before it to nobody.
func TestTrap28PanicOfARetryClosesTheResponseBefore(t *testing.T) {
	p := newPeer(status(http.StatusServiceUnavailable))
	tries := 0
	tr := transport.New(p, fullChain(), transport.WithGate(gateFunc(func(context.Context) (policy.Permit, error) {
		if tries++; tries == 2 {
			panic("boom")
		}
		return policy.Permit{}, nil
	})))
	require.Panics(t, func() { _, _ = tr.RoundTrip(get(t)) })
	requireGivenBack(t, tr)
	p.requireClosed(t)
}

// Trap 28: a response body that panics while it is read keeps nothing once the
// caller has closed it.
func TestTrap28PanicOfTheBodyKeepsNothing(t *testing.T) {
	tr := transport.New(roundTrip(func(*http.Request) (*http.Response, error) {
		return response(http.StatusOK, readerFunc(func([]byte) (int, error) { panic("boom") })), nil
	}), fullChain())
	for range 3 {
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.Panics(t, func() { _, _ = io.ReadAll(resp.Body) })
		require.NoError(t, resp.Body.Close())
		requireGivenBack(t, tr)
	}
}

type gateFunc func(context.Context) (policy.Permit, error)

func (f gateFunc) Admit(ctx context.Context) (policy.Permit, error) { return f(ctx) }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
