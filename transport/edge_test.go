package transport_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

type gate func(context.Context) (policy.Permit, error)

func (g gate) Admit(ctx context.Context) (policy.Permit, error) { return g(ctx) }

func TestPermitGivenBackBeforeTheTryHasAUsableContext(t *testing.T) {
	var outcomes []policy.Outcome
	first := gate(func(context.Context) (policy.Permit, error) {
		return policy.NewPermit(func(ctx context.Context, o policy.Outcome) {
			require.Nil(t, ctx.Value("anything"))
			outcomes = append(outcomes, o)
		}), nil
	})
	full := errors.New("full")
	second := gate(func(context.Context) (policy.Permit, error) { return policy.Permit{}, full })
	tr := transport.New(newPeer(), transport.Default(), transport.WithGate(first), transport.WithGate(second))
	_, err := tr.RoundTrip(get(t))
	require.ErrorIs(t, err, full)
	require.Equal(t, []policy.Outcome{policy.Ignored}, outcomes)
}

func TestGatesOfTheUserAreToldTheVerdict(t *testing.T) {
	b := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 3})
	peer := roundTrip(func(*http.Request) (*http.Response, error) { return response(500, strings.NewReader("no")), nil })
	tr := transport.New(peer, transport.Config{}, transport.WithGate(b))
	for range 3 {
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		content(t, resp)
	}
	require.Equal(t, policy.Open, b.State())
}

// A body that turns out too large while the try before still reads it is not
// sent in part.
func TestReplayIsWholeOrNotMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pr, pw := io.Pipe()
		go func() {
			_, _ = pw.Write(pattern(60 << 10))
			time.Sleep(300 * time.Millisecond)
			_, _ = pw.Write(pattern(8 << 10))
			_ = pw.Close()
		}()
		tries := 0
		peer := roundTrip(func(req *http.Request) (*http.Response, error) {
			tries++
			_, err := io.ReadFull(req.Body, make([]byte, 60<<10))
			require.NoError(t, err)
			go func() { _, _ = req.Body.Read(make([]byte, 32<<10)) }()
			time.Sleep(20 * time.Millisecond)
			require.NoError(t, req.Body.Close())
			return response(503, strings.NewReader("busy")), nil
		})
		tr := transport.New(peer, transport.Config{Retry: &transport.Retry{InitialBackoff: time.Millisecond}})
		resp, err := tr.RoundTrip(request(t, http.MethodPut, "http://peer.test/", pr))
		require.NoError(t, err)
		require.Equal(t, "busy", content(t, resp))
		require.Equal(t, 1, tries)
		_ = pr.Close()
	})
}

// The peer answers early and the producer is quiet: the answer is not given up
// for a retry that cannot be made.
func TestAnswerIsKeptWhileTheProducerIsQuiet(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for line := ""; line != "\r\n"; {
			if line, err = r.ReadString('\n'); err != nil {
				return
			}
		}
		_, _ = io.WriteString(c, "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, r)
	}()
	pr, pw := io.Pipe()
	base := &http.Transport{}
	tr := transport.New(base, transport.Default())
	resp, err := tr.RoundTrip(request(t, http.MethodPut, "http://"+l.Addr().String(), pr))
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Equal(t, "no", content(t, resp))
	require.NoError(t, pw.Close())
	require.NoError(t, l.Close())
	base.CloseIdleConnections()
	<-closed
}

func TestResponseAfterCancelAndTimeoutIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		late := roundTrip(func(req *http.Request) (*http.Response, error) {
			req.Context().Done()
			cancel()
			time.Sleep(time.Second)
			return response(200, strings.NewReader("late")), nil
		})
		tr := transport.New(late, transport.Config{Timeouts: &transport.Timeouts{Total: 50 * time.Millisecond}})
		_, err := tr.RoundTrip(get(t).WithContext(ctx))
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestTimeOfAnUploadIsNotTheNextHops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := roundTrip(func(req *http.Request) (*http.Response, error) {
			if req.Body != nil {
				_, _ = io.Copy(io.Discard, req.Body)
				_ = req.Body.Close()
			}
			if req.Context().Err() != nil {
				return nil, context.Cause(req.Context())
			}
			resp := response(200, strings.NewReader("done"))
			resp.Request = req
			if req.URL.Path == "/" {
				resp.StatusCode = http.StatusSeeOther
				resp.Header.Set("Location", "/done")
			}
			return resp, nil
		})
		pr, pw := io.Pipe()
		go func() {
			for range 10 {
				_, _ = pw.Write([]byte("abc"))
				time.Sleep(100 * time.Millisecond)
			}
			_ = pw.Close()
		}()
		client := &http.Client{Transport: transport.New(peer, transport.Config{Timeouts: &transport.Timeouts{Total: 500 * time.Millisecond}})}
		resp, err := client.Post("http://peer.test/", "text/plain", pr)
		require.NoError(t, err)
		require.Equal(t, "done", content(t, resp))
	})
}

func TestCloseByTheCallerIsNoFailure(t *testing.T) {
	pr, pw := io.Pipe()
	tr := transport.New(roundTrip(func(*http.Request) (*http.Response, error) {
		resp := response(200, nil)
		resp.Body = pr
		return resp, nil
	}), transport.Config{Breaker: &policy.CircuitBreakerConfig{FailureThreshold: 1}})
	resp, err := tr.RoundTrip(get(t))
	require.NoError(t, err)
	read := make(chan error)
	go func() {
		_, err := io.Copy(io.Discard, resp.Body)
		read <- err
	}()
	_, err = pw.Write([]byte("moving"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Error(t, <-read)
	require.Equal(t, policy.Closed, state(t, tr).Breaker.State)
}

// A caller's deadline replaces the total timeout, and must cut a stalled upload
// as that does: net/http's HTTP/1 alone would wait for the body.
func TestStalledUploadEndsWithTheCallersContext(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer srv.Close()
	pr, pw := io.Pipe()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	tr := transport.New(base, transport.Default())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	req := request(t, http.MethodPut, srv.URL, pr).WithContext(ctx)
	go func() {
		_, err := tr.RoundTrip(req)
		ended <- err
	}()
	_, err := pw.Write([]byte("abc"))
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestBudgetIsGivenBackForARetryThatIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := transport.New(newPeer(status(503)), transport.Config{Retry: &transport.Retry{
			InitialBackoff: time.Hour, MaxBackoff: time.Hour, Budget: &policy.BudgetConfig{PerSecond: -1, Share: -1},
		}})
		for range 5 {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 24*time.Hour, nil)
			time.AfterFunc(time.Nanosecond, cancel)
			_, err := tr.RoundTrip(get(t).WithContext(ctx))
			require.ErrorIs(t, err, context.Canceled)
		}
		require.Equal(t, 10.0, state(t, tr).BudgetTokens)
	})
}
