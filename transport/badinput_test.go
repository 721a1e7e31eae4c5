package transport_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
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

// raw is a server that answers every connection's first request with text, and
// then closes or, when told, holds the connection until the client leaves.
func raw(t *testing.T, text string, hold bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			answerRaw(conn, text, hold)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-served
	})
	return "http://" + l.Addr().String()
}

func answerRaw(conn net.Conn, text string, hold bool) {
	defer conn.Close()
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, req.Body)
	_, _ = io.WriteString(conn, text)
	if hold {
		_, _ = io.Copy(io.Discard, conn)
	}
}

// hasty is the whole chain without waits.
func hasty() transport.Config {
	cfg := fullChain()
	cfg.Retry.InitialBackoff, cfg.Retry.MaxBackoff = 1, 1
	return cfg
}

// connections is a base of its own, whose connections end with the test.
func connections(t *testing.T) *http.Transport {
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	return base
}

func TestStatusCodesOutOfRangeAreTheServersOwn(t *testing.T) {
	for _, code := range []int{0, 99, 600, 999} {
		tr := transport.New(connections(t), hasty())
		url := raw(t, fmt.Sprintf("HTTP/1.1 %03d Odd\r\nContent-Length: 3\r\n\r\nodd", code), false)
		resp, err := tr.RoundTrip(request(t, http.MethodGet, url, nil))
		require.NoError(t, err, code)
		require.Equal(t, code, resp.StatusCode)
		require.Equal(t, "odd", content(t, resp))
		requireGivenBack(t, tr)
	}
}

func TestMalformedAnswersAreErrors(t *testing.T) {
	cases := map[string]string{
		"nothing":           "",
		"no HTTP":           "SSH-2.0-OpenSSH_9.6\r\n",
		"status of letters": "HTTP/1.1 abc\r\n\r\n",
		"status too long":   "HTTP/1.1 20000 OK\r\n\r\n",
		"negative status":   "HTTP/1.1 -20 OK\r\n\r\n",
		"header cut":        "HTTP/1.1 200 OK\r\nContent-Le",
		"two lengths":       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"1xx without end":   strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 100_000),
		"header too large":  "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 11<<20) + "\r\n\r\n",
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			tr := transport.New(connections(t), hasty())
			resp, err := tr.RoundTrip(request(t, http.MethodGet, raw(t, text, false), nil))
			require.Error(t, err)
			require.Nil(t, resp)
			requireGivenBack(t, tr)
		})
	}
}

func TestFewInformationalResponsesAreSkipped(t *testing.T) {
	tr := transport.New(connections(t), hasty())
	text := strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 3) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	resp, err := tr.RoundTrip(request(t, http.MethodGet, raw(t, text, false), nil))
	require.NoError(t, err)
	require.Equal(t, "ok", content(t, resp))
	require.Len(t, transport.Attempts(resp), 1)
}

func TestBodyCutByTheServerIsAnErrorAndAFailure(t *testing.T) {
	tr := watched(connections(t))
	resp, err := tr.RoundTrip(request(t, http.MethodGet, raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", false), nil))
	require.NoError(t, err)
	b, err := io.ReadAll(resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, "half", string(b))
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 1, state(t, tr).Breaker.Failures)
}

func TestBodyThatHangsIsCutWhenToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, _ := pipeServer(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		cfg := hasty()
		cfg.Timeouts.BodyIdle = time.Second
		tr := transport.New(base, cfg)
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		require.ErrorIs(t, err, policy.ErrTimeout)
		require.Equal(t, "half", string(b))
		require.NoError(t, resp.Body.Close())
		requireGivenBack(t, tr)
	})
}

func TestBodyWithoutEndIsTheCallersToClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, _ := pipeServer(t, func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(pattern(1 << 10)); err != nil {
					return
				}
			}
		})
		tr := transport.New(base, hasty())
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, resp.Body, 1<<20)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		requireGivenBack(t, tr)
	})
}

// A body without end of a try that is repeated must be cut, too.
func TestBodyWithoutEndDoesNotHoldUpARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		base, _ := pipeServer(t, func(w http.ResponseWriter, r *http.Request) {
			if n++; n > 1 {
				return
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			for {
				if _, err := w.Write(pattern(1 << 10)); err != nil {
					return
				}
			}
		})
		tr := transport.New(base, hasty())
		resp, err := tr.RoundTrip(get(t))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		content(t, resp)
		requireGivenBack(t, tr)
	})
}

func TestResetWithinAnUploadIsAnErrorAfterItsTries(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.CopyN(io.Discard, conn, 1<<10)
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}()
	defer func() {
		l.Close()
		<-served
	}()
	for method, tries := range map[string]int{http.MethodPost: 1, http.MethodPut: 3} {
		tr := transport.New(connections(t), hasty())
		body := bodyOf(strings.NewReader(strings.Repeat("x", 8<<20)))
		req := request(t, method, "http://"+l.Addr().String(), body)
		req.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(strings.Repeat("x", 8<<20))), nil
		}
		_, err := tr.RoundTrip(req)
		require.Error(t, err)
		require.EqualValues(t, 1, body.closed.Load())
		if tries > 1 {
			require.ErrorIs(t, err, policy.ErrMaxRetriesExceeded)
			require.Len(t, transport.AttemptsOf(err), tries)
		}
		requireGivenBack(t, tr)
	}
}

func TestRedirectLoopEndsAndKeepsNothing(t *testing.T) {
	srv := httptest.NewServer(http.RedirectHandler("/", http.StatusFound))
	defer srv.Close()
	tr := transport.New(connections(t), hasty())
	client := &http.Client{Transport: tr}
	resp, err := client.Get(srv.URL)
	require.ErrorContains(t, err, "stopped after 10 redirects")
	require.NotNil(t, resp, "as net/http does, with its body closed")
	requireGivenBack(t, tr)
}

// What is missing in a request is told in net/http's own words.
func TestRequestWithoutURLOrHeaderIsWhatNetHTTPSays(t *testing.T) {
	for name, req := range map[string]*http.Request{
		"url":            {Method: http.MethodGet, Header: http.Header{}},
		"header":         {Method: http.MethodGet, URL: get(t).URL},
		"host":           {Method: http.MethodGet, URL: request(t, http.MethodGet, "http:///path", nil).URL, Header: http.Header{}},
		"method invalid": {Method: "G E T", URL: get(t).URL, Header: http.Header{}},
		"header invalid": {Method: http.MethodGet, URL: get(t).URL, Header: http.Header{"X": {"a\nb"}}},
	} {
		t.Run(name, func(t *testing.T) {
			base := connections(t)
			_, want := base.RoundTrip(withBody(req))
			require.Error(t, want)
			sent := withBody(req)
			tr := transport.New(base, hasty())
			resp, err := tr.RoundTrip(sent)
			require.Nil(t, resp)
			require.ErrorContains(t, err, want.Error())
			require.EqualValues(t, 1, sent.Body.(*countingBody).closed.Load())
			requireGivenBack(t, tr)
		})
	}
}

func withBody(req *http.Request) *http.Request {
	sent := req.WithContext(context.Background())
	sent.Body = bodyOf(strings.NewReader("x"))
	return sent
}

var errGetBody = errors.New("the body is gone")

// A GetBody that fails leaves nothing to retry with: the caller gets what the
// try before ended with.
func TestGetBodyThatFailsEndsTheRetriesWithTheLastResponse(t *testing.T) {
	p := newPeer(status(http.StatusServiceUnavailable))
	tr := transport.New(p, hasty())
	body := bodyOf(strings.NewReader("x"))
	req := request(t, http.MethodPut, "http://peer.test/", body)
	req.GetBody = func() (io.ReadCloser, error) { return nil, errGetBody }
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	require.Equal(t, "Service Unavailable", content(t, resp))
	require.Len(t, p.seen(), 1)
	require.EqualValues(t, 1, body.closed.Load())
	requireGivenBack(t, tr)
	p.requireClosed(t)
}

func TestGetBodyThatFailsEndsTheRetriesWithAnError(t *testing.T) {
	p := newPeer(failing(errReset))
	tr := transport.New(p, hasty())
	body := bodyOf(strings.NewReader("x"))
	req := request(t, http.MethodPut, "http://peer.test/", body)
	req.GetBody = func() (io.ReadCloser, error) { return nil, errGetBody }
	resp, err := tr.RoundTrip(req)
	require.Error(t, err)
	require.Nil(t, resp)
	require.Len(t, p.seen(), 1)
	require.EqualValues(t, 1, body.closed.Load())
	requireGivenBack(t, tr)
}

func TestBaseThatReturnsNothingIsAnError(t *testing.T) {
	tr := transport.New(roundTrip(func(*http.Request) (*http.Response, error) { return nil, nil }), hasty())
	resp, err := tr.RoundTrip(get(t))
	require.Error(t, err)
	require.Nil(t, resp)
	requireGivenBack(t, tr)
}

func TestHugeRetryAfterIsTheServersOwnAnswer(t *testing.T) {
	for _, v := range []string{"99999999999999999999", "9223372036854775807", "-1", "soon", strings.Repeat("9", 100_000)} {
		synctest.Test(t, func(t *testing.T) {
			tr := transport.New(newPeer(status(http.StatusServiceUnavailable, "Retry-After", v)), hasty())
			began := time.Now()
			resp, err := tr.RoundTrip(get(t))
			require.NoError(t, err)
			require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
			content(t, resp)
			require.Less(t, time.Since(began), time.Second)
		})
	}
}
