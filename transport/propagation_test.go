package transport_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

var sendsOn = transport.WithPropagation(transport.Propagation{Priority: "x-priority", Deadline: "x-time-left-ms"})

func TestNothingIsSentOnByDefault(t *testing.T) {
	p := newPeer(status(http.StatusOK))
	req := get(t)
	req = req.WithContext(policy.ContextWithPriority(req.Context(), policy.Critical))
	resp, err := transport.New(p, transport.Default()).RoundTrip(req)
	require.NoError(t, err)
	content(t, resp)
	seen := p.seen()[0].header
	for _, name := range []string{"X-Priority", "X-Time-Left-Ms", "Grpc-Timeout", "X-Envoy-Expected-Rq-Timeout-Ms"} {
		require.NotContains(t, seen, name)
	}
}

func TestTimeLeftIsSentWithEachTryAndShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(http.StatusServiceUnavailable, "Retry-After", "2"), status(http.StatusOK))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		req := get(t).WithContext(policy.ContextWithPriority(ctx, policy.Bulk))
		began := time.Now()
		resp, err := transport.New(p, transport.Default(), sendsOn).RoundTrip(req)
		require.NoError(t, err)
		content(t, resp)
		tries := p.seen()
		require.Len(t, tries, 2)
		for _, try := range tries {
			require.Equal(t, []string{"bulk"}, try.header["X-Priority"])
			require.Equal(t, []string{millis(5*time.Second - try.at.Sub(began))}, try.header["X-Time-Left-Ms"])
		}
		require.Empty(t, req.Header, "the caller's own")
	})
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func TestTimeLeftIsTheShortestBoundOfTheTry(t *testing.T) {
	for _, tt := range []struct {
		name     string
		cfg      transport.Config
		method   string
		accept   string
		deadline time.Duration
		want     []string
	}{
		{"attempt timeout", transport.Default(), http.MethodGet, "", 0, []string{"10000"}},
		{"total, for what is not repeated", transport.Default(), http.MethodPost, "", 0, []string{"30000"}},
		{"deadline", transport.Default(), http.MethodGet, "", 3 * time.Second, []string{"3000"}},
		{"attempt timeout before deadline", transport.Default(), http.MethodGet, "", time.Minute, []string{"10000"}},
		{"deadline alone", transport.Config{}, http.MethodGet, "", time.Second, []string{"1000"}},
		{"no bound", transport.Config{}, http.MethodGet, "", 0, nil},
		{"event stream", transport.Default(), http.MethodGet, "text/event-stream", 0, nil},
		{"next to nothing", transport.Config{}, http.MethodGet, "", time.Nanosecond, []string{"1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(status(http.StatusOK))
				req := request(t, tt.method, "http://peer.test/", nil)
				if tt.accept != "" {
					req.Header.Set("Accept", tt.accept)
				}
				if tt.deadline > 0 {
					ctx, cancel := context.WithTimeout(req.Context(), tt.deadline)
					defer cancel()
					req = req.WithContext(ctx)
				}
				resp, err := transport.New(p, tt.cfg, sendsOn).RoundTrip(req)
				require.NoError(t, err)
				content(t, resp)
				seen := p.seen()[0].header
				require.Equal(t, tt.want, seen["X-Time-Left-Ms"])
				require.NotContains(t, seen, "X-Priority", "normal goes without saying")
			})
		})
	}
}

func TestTimeLeftInGRPCNotationHasEightDigitsAtMost(t *testing.T) {
	for _, tt := range []struct {
		left time.Duration
		want string
	}{
		{time.Nanosecond, "1u"},
		{1500 * time.Microsecond, "1500u"},
		{99_999_999 * time.Microsecond, "99999999u"},
		{100 * time.Second, "100000m"},
		{27 * time.Hour, "97200000m"},
		{28 * time.Hour, "100800S"},
		{1157 * 24 * time.Hour, "99964800S"},
		{1158 * 24 * time.Hour, "1667520M"},
		{200 * 365 * 24 * time.Hour, "1752000H"},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(status(http.StatusOK))
			ctx, cancel := context.WithTimeout(t.Context(), tt.left)
			defer cancel()
			rt := transport.New(p, transport.Config{}, transport.WithPropagation(transport.Propagation{Deadline: "grpc-timeout"}))
			resp, err := rt.RoundTrip(get(t).WithContext(ctx))
			require.NoError(t, err)
			content(t, resp)
			require.Equal(t, []string{tt.want}, p.seen()[0].header["Grpc-Timeout"])
		})
	}
}

func TestSignerSeesWhatIsSentOn(t *testing.T) {
	p := newPeer(status(http.StatusOK))
	var signed string
	sign := transport.WithSigner(func(req *http.Request) error {
		signed = req.Header.Get("X-Priority")
		return nil
	})
	req := get(t)
	req.Header.Set("X-Priority", "mine")
	resp, err := transport.New(p, transport.Default(), sendsOn, sign).
		RoundTrip(req.WithContext(policy.ContextWithPriority(req.Context(), policy.Critical)))
	require.NoError(t, err)
	content(t, resp)
	require.Equal(t, "critical", signed)
	require.Equal(t, "mine", req.Header.Get("X-Priority"))
}
