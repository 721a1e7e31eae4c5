package transport_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
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

// quick are retries that hardly wait, for tests on real sockets.
func quick() *transport.Retry {
	return &transport.Retry{InitialBackoff: time.Microsecond, MaxBackoff: time.Microsecond}
}

// Trap 1: a body that is not rewound arrives empty or short at the second try.
func TestTrap01RetriedBodyArrivesWhole(t *testing.T) {
	want := pattern(100_000)
	small := want[:10_000]
	file := filepath.Join(t.TempDir(), "body")
	require.NoError(t, os.WriteFile(file, append([]byte("skipped"), want...), 0o600))
	fromOffset := func() (io.ReadCloser, error) {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		_, err = f.Seek(int64(len("skipped")), io.SeekStart)
		return f, err
	}
	for _, c := range []struct {
		name  string
		want  []byte
		body  func(*http.Request) // sets Body, GetBody, ContentLength
		known bool                // Content-Length
	}{
		{"bytes with GetBody", want, func(r *http.Request) {
			made := request(t, http.MethodPost, "http://unused", bytes.NewReader(want))
			r.Body, r.GetBody, r.ContentLength = made.Body, made.GetBody, made.ContentLength
		}, true},
		{"file at an offset", want, func(r *http.Request) {
			r.Body, _ = fromOffset()
			r.GetBody, r.ContentLength = fromOffset, int64(len(want))
		}, true},
		{"small stream of known length", small, func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(small)), int64(len(small))
		}, true},
		{"small stream", small, func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(small)), -1
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			var got []try
			handler := func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				mu.Lock()
				got = append(got, try{length: r.ContentLength, content: string(b)})
				n := len(got)
				mu.Unlock()
				if n == 1 {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			}
			eachProtocol(t, handler, func(t *testing.T, srv *httptest.Server) {
				got = nil
				tr := transport.New(srv.Client().Transport, transport.Config{Retry: quick()})
				req := request(t, http.MethodPost, srv.URL, nil)
				req.Header.Set("Idempotency-Key", "one")
				c.body(req)
				resp, err := (&http.Client{Transport: tr}).Do(req)
				require.NoError(t, err)
				content(t, resp)
				require.Equal(t, http.StatusOK, resp.StatusCode)
				require.Len(t, got, 2)
				require.Equal(t, string(c.want), got[0].content)
				require.Equal(t, got[0], got[1])
				if c.known {
					require.EqualValues(t, len(c.want), got[0].length)
				}
			})
		})
	}
}

// Trap 1, failing: a GetBody that fails leaves the caller with the answer that
// there was.
func TestTrap01FailingGetBodyLeavesTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(status(503))
		tr := transport.New(p, transport.Default())
		body := bodyOf(strings.NewReader("once"))
		req := request(t, http.MethodPut, "http://peer.test/", body)
		req.GetBody = func() (io.ReadCloser, error) { return nil, errReset }
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		require.Equal(t, http.StatusText(503), content(t, resp))
		require.Len(t, p.seen(), 1)
		require.EqualValues(t, 1, body.closed.Load())
		p.requireClosed(t)
		requireGivenBack(t, tr)
	})
}

// Trap 2: a large stream is neither sent twice nor kept in memory.
func TestTrap02NotReplayableBodyIsSentOnce(t *testing.T) {
	const size = 10 << 20
	buf := make([]byte, 32<<10)
	var tries, received int
	answered := bodyOf(strings.NewReader("busy"))
	base := roundTrip(func(req *http.Request) (*http.Response, error) {
		tries++
		for {
			n, err := req.Body.Read(buf)
			received += n
			if err != nil {
				req.Body.Close()
				resp := response(503, nil)
				resp.Body = answered
				return resp, nil
			}
		}
	})
	var seen decisions
	tr := transport.New(base, transport.Default(), transport.WithTelemetry(nil), transport.WithObserver(&seen))
	src, w := io.Pipe()
	chunk := pattern(64 << 10)
	go func() {
		for range size / len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
		w.Close()
	}()
	req := request(t, http.MethodPut, "http://peer.test/", src)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, err := tr.RoundTrip(req)
	runtime.ReadMemStats(&after)

	require.NoError(t, err)
	require.Equal(t, 503, resp.StatusCode)
	require.Equal(t, "busy", content(t, resp))
	require.Equal(t, 1, tries)
	require.Equal(t, size, received)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(256<<10), "bytes allocated, let alone kept")
	require.Equal(t, []policy.Reason{policy.ReasonBodyNotReplayable}, seen.reasons(policy.PolicyRetry, policy.ActionGiveUp))
	require.EqualValues(t, 1, answered.closed.Load())
	requireGivenBack(t, tr)
}

var errDial = &net.OpError{Op: "dial", Err: errReset}

// A large stream can be sent once; but what nobody has read of has not been sent.
func TestLargeBodyIsSentAgainUnlessSomebodyHasReadOfIt(t *testing.T) {
	want := pattern(1 << 20)
	for name, c := range map[string]struct {
		read  int64 // of the body, by the first try
		ends  answer
		tries int
	}{
		"not dialled":    {0, failing(errDial), 2},
		"refused unread": {0, status(503), 2},
		"reset unread":   {0, failing(errReset), 2},
		"one byte read":  {1, failing(errDial), 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tries int
				var received []byte
				base := roundTrip(func(req *http.Request) (*http.Response, error) {
					defer req.Body.Close()
					if tries++; tries == 1 {
						_, _ = io.CopyN(io.Discard, req.Body, c.read)
						return c.ends(req)
					}
					received, _ = io.ReadAll(req.Body)
					return response(200, strings.NewReader("")), nil
				})
				tr := transport.New(base, transport.Default())
				body := bodyOf(bytes.NewReader(want))
				req := request(t, http.MethodPut, "http://peer.test/", body)
				req.ContentLength = int64(len(want))
				resp, err := tr.RoundTrip(req)
				require.Equal(t, c.tries, tries)
				require.EqualValues(t, 1, body.closed.Load())
				if c.tries == 1 {
					require.ErrorIs(t, err, errDial)
					return
				}
				require.NoError(t, err)
				content(t, resp)
				require.True(t, bytes.Equal(want, received))
				requireGivenBack(t, tr)
			})
		})
	}
}

// A server that asks to wait with the body, and then refuses, has not got it.
func TestLargeBodyThatWasNotAskedForIsSentAgain(t *testing.T) {
	want := pattern(1 << 20)
	var tries atomic.Int64
	var received []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		received, _ = io.ReadAll(r.Body)
	}))
	defer srv.Close()
	base := &http.Transport{ExpectContinueTimeout: time.Minute}
	defer base.CloseIdleConnections()
	tr := transport.New(base, transport.Config{Retry: quick()})
	body := bodyOf(bytes.NewReader(want))
	req := request(t, http.MethodPut, srv.URL, body)
	req.ContentLength = int64(len(want))
	req.Header.Set("Expect", "100-continue")
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	content(t, resp)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.EqualValues(t, 2, tries.Load())
	require.True(t, bytes.Equal(want, received))
	require.EqualValues(t, 1, body.closed.Load())
}

// refusing is a gate that lets nothing through.
type refusing struct{}

func (refusing) Admit(context.Context) (policy.Permit, error) {
	return policy.Permit{}, &policy.Error{Reason: policy.ReasonLimitReached, Policy: "mine"}
}

// Trap 3: whatever comes of a call, its request body is closed once and its
// request is as it was.
func TestTrap03RequestBodyIsClosedOnceAndRequestUntouched(t *testing.T) {
	breaker := func(t *testing.T, tr *transport.Transport) {
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		content(t, resp)
		b, ok := tr.Breaker("http://peer.test:80")
		require.True(t, ok)
		b.ForceOpen(t.Context())
	}
	spend := func(t *testing.T, tr *transport.Transport) {
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		content(t, resp)
	}
	limited := transport.Config{RateLimit: &policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: time.Millisecond}}
	throttled := transport.Default()
	throttled.Throttle.MaxWait = -1
	for _, c := range []struct {
		name    string
		cfg     transport.Config
		opts    []transport.Option
		answers []answer
		prepare func(*testing.T, *transport.Transport)
		err     error
		tries   int
	}{
		{name: "success", cfg: transport.Default(), answers: []answer{status(200)}, tries: 1},
		{name: "retried", cfg: transport.Default(), answers: []answer{status(503), status(502), status(200)}, tries: 3},
		{name: "retries used up", cfg: transport.Default(), answers: []answer{status(503)}, tries: 3},
		{name: "error", cfg: transport.Config{}, answers: []answer{failing(errReset)}, err: errReset, tries: 1},
		{name: "errors", cfg: transport.Default(), answers: []answer{failing(errReset)}, err: policy.ErrMaxRetriesExceeded, tries: 3},
		{name: "breaker", cfg: transport.Default(), answers: []answer{status(200)}, prepare: breaker, err: policy.ErrCircuitOpen, tries: 1},
		{name: "rate limit", cfg: limited, answers: []answer{status(200)}, prepare: spend, err: policy.ErrRateLimitExceeded, tries: 1},
		{name: "throttle", cfg: throttled, answers: []answer{status(429, "Retry-After", "60")}, prepare: spend, err: policy.ErrRateLimitExceeded, tries: 1},
		{name: "gate", cfg: transport.Default(), opts: []transport.Option{transport.WithGate(refusing{})}, answers: []answer{status(200)}, err: policy.ErrSaturated},
		{name: "signer", cfg: transport.Default(), opts: []transport.Option{
			transport.WithSigner(func(*http.Request) error { return policy.Permanent(errReset) }),
		}, answers: []answer{status(200)}, err: errReset},
	} {
		for _, replay := range []string{"GetBody", "buffer"} {
			t.Run(c.name+", "+replay, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPeer(c.answers...)
					tr := transport.New(p, c.cfg, c.opts...)
					if c.prepare != nil {
						c.prepare(t, tr)
					}
					var bodies []*countingBody
					open := func() (io.ReadCloser, error) {
						b := bodyOf(strings.NewReader("content"))
						bodies = append(bodies, b)
						return b, nil
					}
					req := request(t, http.MethodPut, "http://peer.test/", nil)
					req.Body, _ = open()
					if replay == "GetBody" {
						req.GetBody = open
					}
					req.Header.Set("X-Mine", "kept")
					before, header := *req, req.Header.Clone()

					resp, err := tr.RoundTrip(req)
					if c.err != nil {
						require.ErrorIs(t, err, c.err)
						require.Nil(t, resp)
					} else {
						require.NoError(t, err)
						content(t, resp)
					}
					require.Len(t, p.seen(), c.tries)
					for i, b := range bodies {
						require.EqualValues(t, 1, b.closed.Load(), "closes of request body %d", i+1)
					}
					before.GetBody, req.GetBody = nil, nil // functions are never deeply equal
					require.True(t, reflect.DeepEqual(before, *req), "the request was changed")
					require.Equal(t, header, req.Header)
					p.requireClosed(t)
					requireGivenBack(t, tr)
				})
			})
		}
	}
}

// Trap 3, failing: a panic of the base closes the body too.
func TestTrap03RequestBodyIsClosedWhenTheBasePanics(t *testing.T) {
	body := bodyOf(strings.NewReader("content"))
	base := roundTrip(func(*http.Request) (*http.Response, error) { panic("base") })
	tr := transport.New(base, transport.Default())
	require.PanicsWithValue(t, "base", func() {
		_, _ = tr.RoundTrip(request(t, http.MethodPut, "http://peer.test/", body))
	})
	require.EqualValues(t, 1, body.closed.Load())
	requireGivenBack(t, tr)
}
