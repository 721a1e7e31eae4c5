package transport_test

import (
	"context"
	"errors"
	"io"
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

// Trap 23: the body is the caller's for as long as it lasts: neither the try's
// time nor its context ends at the return.
func TestTrap23BodyOutlivesTheAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, _ := pipeServer(t, func(w http.ResponseWriter, _ *http.Request) {
			for range 5 {
				_, _ = io.WriteString(w, "tick ")
				w.(http.Flusher).Flush()
				time.Sleep(time.Second)
			}
		})
		var attempt context.Context
		spy := roundTrip(func(req *http.Request) (*http.Response, error) {
			attempt = req.Context()
			return base.RoundTrip(req)
		})
		cfg := transport.Default()
		cfg.Timeouts = &transport.Timeouts{Total: 2 * time.Second, Attempt: time.Second}
		cfg.Concurrency = &policy.ConcurrencyConfig{Limit: 1}
		tr := transport.New(spy, cfg)
		began := time.Now()
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		done := attempt.Done()
		require.NoError(t, attempt.Err())
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, strings.Repeat("tick ", 5), string(b))
		require.Equal(t, 5*time.Second, time.Since(began))
		require.NoError(t, resp.Body.Close())
		requireCancelled(t, done)
		requireCancelled(t, resp.Request.Context().Done())
		require.ErrorIs(t, attempt.Err(), context.Canceled)
		requireGivenBack(t, tr)
	})
}

// Trap 23, early: closing a body before its end frees all the same.
func TestTrap23ClosedBodyCancelsTheTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := make(chan struct{})
		base, _ := pipeServer(t, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			close(stopped)
		})
		var attempt context.Context
		spy := roundTrip(func(req *http.Request) (*http.Response, error) {
			attempt = req.Context()
			return base.RoundTrip(req)
		})
		tr := transport.New(spy, transport.Default())
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		requireCancelled(t, attempt.Done())
		<-stopped
		requireGivenBack(t, tr)
	})
}

func requireCancelled(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	default:
		require.Fail(t, "the context lives on")
	}
}

// Trap 24: a body that stops moving ends in a timeout that counts.
func TestTrap24StalledBodyIsATimeoutAndAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, _ := pipeServer(t, func(w http.ResponseWriter, r *http.Request) {
			for range 4 { // slower than the idle time in all, never between two bytes
				_, _ = io.WriteString(w, ".")
				w.(http.Flusher).Flush()
				time.Sleep(2 * time.Second)
			}
			<-r.Context().Done()
		})
		cfg := transport.Default()
		cfg.Timeouts.BodyIdle = 3 * time.Second
		cfg.Breaker = &policy.CircuitBreakerConfig{FailureThreshold: 1}
		var seen decisions
		tr := transport.New(base, cfg, transport.WithObserver(&seen))
		began := time.Now()
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		require.Equal(t, "....", string(b))
		require.ErrorIs(t, err, policy.ErrTimeout)
		own, ok := errors.AsType[*policy.Error](err)
		require.True(t, ok)
		require.Equal(t, policy.ReasonBodyStalled, own.Reason)
		require.True(t, own.Timeout())
		require.Equal(t, 9*time.Second, time.Since(began).Round(time.Millisecond))
		require.Equal(t, policy.Open, state(t, tr).Breaker.State)
		require.Equal(t, []policy.Reason{policy.ReasonBodyStalled}, seen.reasons(policy.PolicyTimeout, policy.ActionTimeout))
		require.NoError(t, resp.Body.Close())
		requireGivenBack(t, tr)
	})
}

// Trap 24, slow reader: a caller that takes its time between reads is no stall.
func TestTrap24SlowReaderIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, _ := pipeServer(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(pattern(64 << 10))
		})
		cfg := transport.Default()
		cfg.Timeouts.BodyIdle = time.Second
		tr := transport.New(base, cfg)
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		var got int
		for buf := make([]byte, 8<<10); ; time.Sleep(5 * time.Second) {
			n, err := resp.Body.Read(buf)
			got += n
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
		}
		require.Equal(t, 64<<10, got)
		require.NoError(t, resp.Body.Close())
		require.Zero(t, state(t, tr).Breaker.Failures)
	})
}

// Trap 24, reset: a connection that dies in the middle of the body counts too,
// and a caller's cancel there does not.
func TestTrap24ResetBodyIsAFailureAndACancelIsNot(t *testing.T) {
	eachProtocol(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/reset" {
			panic(http.ErrAbortHandler)
		}
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // so that no end of the body overtakes the cancel
	}, func(t *testing.T, srv *httptest.Server) {
		cfg := transport.Config{Breaker: &policy.CircuitBreakerConfig{FailureThreshold: 2}}
		tr := transport.New(srv.Client().Transport, cfg)

		ctx, cancel := context.WithCancel(t.Context())
		resp, err := tr.RoundTrip(request(t, http.MethodGet, srv.URL, nil).WithContext(ctx))
		require.NoError(t, err)
		cancel()
		_, err = io.ReadAll(resp.Body)
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, resp.Body.Close())
		require.Zero(t, state(t, tr).Breaker.FailuresInARow)

		resp, err = tr.RoundTrip(request(t, http.MethodGet, srv.URL+"/reset", nil))
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		require.Equal(t, "half", string(b))
		require.Error(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 1, state(t, tr).Breaker.FailuresInARow)
		requireGivenBack(t, tr)
	})
}

// Trap 25: the permit ends with the body, however that ends, and once.
func TestTrap25PermitFollowsTheBody(t *testing.T) {
	read := func(t *testing.T, resp *http.Response, _ context.CancelFunc) {
		_, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
	}
	shut := func(t *testing.T, resp *http.Response, _ context.CancelFunc) { require.NoError(t, resp.Body.Close()) }
	cancelled := func(t *testing.T, resp *http.Response, cancel context.CancelFunc) {
		cancel()
		require.NoError(t, resp.Body.Close())
	}
	type end = func(*testing.T, *http.Response, context.CancelFunc)
	for name, ends := range map[string][]end{
		"EOF":                    {read},
		"close":                  {shut},
		"double close":           {shut, shut},
		"EOF then close":         {read, shut},
		"EOF then close twice":   {read, shut, shut},
		"cancel and close":       {cancelled},
		"cancel and close twice": {cancelled, shut},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(status(200))
			tr := transport.New(p, transport.Config{Concurrency: &policy.ConcurrencyConfig{Limit: 1}})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			first, err := tr.RoundTrip(get(t).WithContext(ctx))
			require.NoError(t, err)
			require.Equal(t, 1, state(t, tr).Concurrency.InFlight)
			_, err = tr.RoundTrip(get(t))
			require.ErrorIs(t, err, policy.ErrSaturated)

			ends[0](t, first, cancel)
			require.Zero(t, state(t, tr).Concurrency.InFlight)
			second, err := tr.RoundTrip(get(t))
			require.NoError(t, err)
			for _, again := range ends[1:] {
				again(t, first, cancel)
			}
			require.Equal(t, 1, state(t, tr).Concurrency.InFlight, "released twice")
			_, err = tr.RoundTrip(get(t))
			require.ErrorIs(t, err, policy.ErrSaturated)
			content(t, second)
			requireGivenBack(t, tr)
		})
	}
}

// Trap 25, waiting: with a queue the second call goes when the first body ends.
func TestTrap25SecondCallWaitsForTheFirstBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(200))
		tr := transport.New(p, transport.Config{
			Concurrency: &policy.ConcurrencyConfig{Limit: 1, MaxQueue: 1, MaxWait: time.Minute},
		})
		first, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		time.AfterFunc(7*time.Second, func() { first.Body.Close() })
		began := time.Now()
		second, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.Equal(t, 7*time.Second, time.Since(began))
		content(t, second)
		requireGivenBack(t, tr)
	})
}

// Trap 25, in between: a retry that is waited for holds no permit, and neither
// does a call whose response has no body.
func TestTrap25NoPermitWhileSleepingOrWithoutABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		empty := func(*http.Request) (*http.Response, error) {
			resp := response(204, nil)
			resp.Body = http.NoBody
			return resp, nil
		}
		p := newPeer(status(503, "Retry-After", "5"), empty)
		tr := transport.New(p, transport.Config{
			Concurrency: &policy.ConcurrencyConfig{Limit: 1}, Retry: &transport.Retry{},
		})
		time.AfterFunc(time.Second, func() { require.Zero(t, state(t, tr).Concurrency.InFlight) })
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.Equal(t, 204, resp.StatusCode)
		require.Zero(t, state(t, tr).Concurrency.InFlight, "before Close")
		require.Len(t, p.seen(), 2)
	})
}

// Trap 26: an upgraded connection is the caller's, to read and to write.
func TestTrap26UpgradedBodyCanBeWritten(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString(line)
		_ = rw.Flush()
	}))
	defer srv.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	cfg := transport.Default()
	cfg.Concurrency = &policy.ConcurrencyConfig{Limit: 1}
	for _, asked := range []bool{true, false} { // a 101 that nobody asked for is no different
		tr := transport.New(base, cfg)
		req := request(t, http.MethodGet, srv.URL, nil)
		if asked {
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", "echo")
		}
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		require.Equal(t, 101, resp.StatusCode)
		rw, ok := resp.Body.(io.ReadWriteCloser)
		require.True(t, ok)
		_, err = io.WriteString(rw, "hello\n")
		require.NoError(t, err)
		b, err := io.ReadAll(rw)
		require.NoError(t, err)
		require.Equal(t, "hello\n", string(b))
		require.NoError(t, rw.Close())
		requireGivenBack(t, tr)
	}
}

// Trap 26, without content: there is no body to close, and nothing is held.
func TestTrap26NoContentIsNoBody(t *testing.T) {
	eachProtocol(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.WriteHeader(http.StatusNotModified)
		}
	}, func(t *testing.T, srv *httptest.Server) {
		cfg := transport.Default()
		cfg.Concurrency = &policy.ConcurrencyConfig{Limit: 1}
		tr := transport.New(srv.Client().Transport, cfg)
		for _, c := range []struct{ method, path string }{{http.MethodHead, "/"}, {http.MethodGet, "/204"}, {http.MethodGet, "/304"}} {
			resp, err := tr.RoundTrip(request(t, c.method, srv.URL+c.path, nil))
			require.NoError(t, err)
			require.Equal(t, http.NoBody, resp.Body, "%s %s", c.method, c.path)
			requireGivenBack(t, tr)
		}
	})
}

// Trap 26, the rest of the response is as net/http made it.
func TestTrap26ResponseIsLeftAsItIs(t *testing.T) {
	eachProtocol(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gzip" {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(gzipped("compressed"))
			return
		}
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "content")
		w.Header().Set("X-Sum", "42")
	}, func(t *testing.T, srv *httptest.Server) {
		tr := transport.New(srv.Client().Transport, transport.Default())
		resp, err := tr.RoundTrip(request(t, http.MethodGet, srv.URL+"/trailer", nil))
		require.NoError(t, err)
		require.Equal(t, "content", content(t, resp))
		require.Equal(t, "42", resp.Trailer.Get("X-Sum"))
		require.Equal(t, "/trailer", resp.Request.URL.Path)
		require.Equal(t, http.MethodGet, resp.Request.Method)

		resp, err = tr.RoundTrip(request(t, http.MethodGet, srv.URL+"/gzip", nil))
		require.NoError(t, err)
		require.True(t, resp.Uncompressed)
		require.Equal(t, "compressed", content(t, resp))
	})
}
