package transport_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// watched counts outcomes and never opens; it retries once.
func watched(base http.RoundTripper, opts ...transport.Option) *transport.Transport {
	return transport.New(base, transport.Config{
		Retry:   &transport.Retry{MaxRetries: 1, InitialBackoff: 1},
		Breaker: &policy.CircuitBreakerConfig{FailureRate: 1, MinCalls: 1000},
	}, opts...)
}

func TestVerdicts(t *testing.T) {
	cases := []struct {
		name    string
		method  string
		answer  answer
		outcome policy.Outcome
		retried bool
	}{
		{"200", "GET", status(200), policy.Success, false},
		{"304", "GET", status(304), policy.Success, false},
		{"404", "GET", status(404), policy.Success, false},
		{"408", "GET", status(408), policy.Success, false},
		{"425", "GET", status(425), policy.Success, true},
		{"429", "GET", status(429), policy.Ignored, true},
		{"500 of a GET", "GET", status(500), policy.Failure, true},
		{"500 of a HEAD", "HEAD", status(500), policy.Failure, true},
		{"500 of a PUT", "PUT", status(500), policy.Failure, false},
		{"501", "GET", status(501), policy.Success, false},
		{"502", "GET", status(502), policy.Failure, true},
		{"503", "GET", status(503), policy.Failure, true},
		{"503 of a PUT", "PUT", status(503), policy.Failure, true},
		{"503 of a POST", "POST", status(503), policy.Failure, false},
		{"503 with Retry-After", "GET", status(503, "Retry-After", "0"), policy.Ignored, true},
		{"504", "DELETE", status(504), policy.Failure, true},
		{"reset", "GET", failing(errReset), policy.Failure, true},
		{"reset of a PATCH", "PATCH", failing(errReset), policy.Failure, false},
		{"dial error of a POST", "POST", failing(dialError()), policy.Failure, true},
		{"permanent", "GET", failing(policy.Permanent(errReset)), policy.Ignored, false},
		{"certificate", "GET", failing(&tls.CertificateVerificationError{Err: errReset}), policy.Failure, false},
		{"unknown authority", "GET", failing(x509.UnknownAuthorityError{}), policy.Failure, false},
		{"host name", "GET", failing(x509.HostnameError{Certificate: &x509.Certificate{}}), policy.Failure, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := newPeer(c.answer)
			tr := watched(p)
			resp, err := tr.RoundTrip(request(t, c.method, "http://peer.test/", nil))
			if err == nil {
				content(t, resp)
			}
			n := 1
			if c.retried {
				n = 2
			}
			require.Len(t, p.seen(), n)
			st := state(t, tr).Breaker
			got := [2]int{st.Calls, st.Failures}
			require.Equal(t, outcomes(c.outcome, n), got, "calls and failures")
		})
	}
}

// outcomes is what n of them count in calls and failures.
func outcomes(o policy.Outcome, n int) [2]int {
	switch o {
	case policy.Success:
		return [2]int{n, 0}
	case policy.Failure:
		return [2]int{n, n}
	}
	return [2]int{}
}

func TestWithClassifierReplacesTheVerdict(t *testing.T) {
	var defaults []transport.Verdict
	classify := func(resp *http.Response, err error, def transport.Verdict) transport.Verdict {
		defaults = append(defaults, def)
		switch {
		case err != nil:
			return transport.Verdict{Outcome: policy.Ignored}
		case resp.StatusCode == http.StatusNotFound:
			return transport.Verdict{Outcome: policy.Failure, Retry: policy.ReasonStatus}
		}
		return def
	}
	cases := []struct {
		name    string
		answer  answer
		tries   int
		outcome policy.Outcome
		def     transport.Verdict
	}{
		{"a 404 made a failure", status(404), 2, policy.Failure, transport.Verdict{Outcome: policy.Success}},
		{"an error made nothing", failing(errReset), 1, policy.Ignored, transport.Verdict{Outcome: policy.Failure, Retry: policy.ReasonError}},
		{"the kit's own", status(503), 2, policy.Failure, transport.Verdict{Outcome: policy.Failure, Retry: policy.ReasonStatus}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			defaults = nil
			p := newPeer(c.answer)
			tr := watched(p, transport.WithClassifier(classify))
			resp, err := tr.RoundTrip(get(t))
			if err == nil {
				content(t, resp)
			}
			require.Len(t, p.seen(), c.tries)
			require.Len(t, defaults, c.tries)
			require.Equal(t, c.def, defaults[0])
			st := state(t, tr).Breaker
			got := [2]int{st.Calls, st.Failures}
			require.Equal(t, outcomes(c.outcome, c.tries), got)
		})
	}
}

// once requires that a GET of url fails after a single try, and returns the
// error.
func once(t *testing.T, base http.RoundTripper, url string) error {
	t.Helper()
	n := 0
	tr := watched(roundTrip(func(req *http.Request) (*http.Response, error) {
		n++
		return base.RoundTrip(req)
	}))
	_, err := tr.RoundTrip(request(t, http.MethodGet, url, nil))
	require.Error(t, err)
	require.Equal(t, 1, n, "tries of %v", err)
	return err
}

// Trap 38: errors that would repeat themselves are not retried.
func TestTrap38ErrorsThatWouldRepeatThemselvesAreNotRetried(t *testing.T) {
	t.Run("unknown authority", func(t *testing.T) {
		srv := quietTLS(t)
		base := &http.Transport{}
		defer base.CloseIdleConnections()
		err := once(t, base, srv.URL)
		require.True(t, as[*tls.CertificateVerificationError](err))
		require.True(t, as[x509.UnknownAuthorityError](err))
	})
	t.Run("another host's certificate", func(t *testing.T) {
		srv := quietTLS(t)
		base := srv.Client().Transport.(*http.Transport)
		base.TLSClientConfig.ServerName = "another.test"
		require.True(t, as[x509.HostnameError](once(t, base, srv.URL)))
	})
	t.Run("no common protocol version", func(t *testing.T) {
		srv := quietTLS(t)
		base := srv.Client().Transport.(*http.Transport)
		base.TLSClientConfig.MaxVersion = tls.VersionTLS11
		base.TLSClientConfig.MinVersion = tls.VersionTLS10
		once(t, base, srv.URL)
	})
	t.Run("https to an http server", func(t *testing.T) {
		srv := httptest.NewServer(http.NotFoundHandler())
		defer srv.Close()
		base := srv.Client().Transport.(*http.Transport)
		err := once(t, base, strings.Replace(srv.URL, "http:", "https:", 1))
		require.True(t, errors.Is(err, http.ErrSchemeMismatch) || as[tls.RecordHeaderError](err))
	})
	t.Run("unsupported scheme", func(t *testing.T) {
		base := &http.Transport{}
		once(t, base, "gopher://peer.test/")
	})
	t.Run("header too large", func(t *testing.T) {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("x", 8<<10))
		}))
		defer srv.Close()
		base := srv.Client().Transport.(*http.Transport)
		base.MaxResponseHeaderBytes = 4 << 10
		once(t, base, srv.URL)
	})
	t.Run("signer", func(t *testing.T) {
		n := 0
		tr := watched(newPeer(status(200)), transport.WithSigner(func(*http.Request) error {
			n++
			return errReset
		}))
		_, err := tr.RoundTrip(get(t))
		require.ErrorIs(t, err, errReset)
		require.Equal(t, 1, n)
		require.Zero(t, state(t, tr).Breaker.Failures, "it is no fault of the peer")
	})
}

// Trap 38: the limit of redirects is the client's own and ends the call.
func TestTrap38RedirectLimitIsNotRetried(t *testing.T) {
	p := newPeer(status(http.StatusFound, "Location", "/"))
	tr := watched(p)
	client := &http.Client{Transport: tr}
	_, err := client.Get("http://peer.test/")
	require.ErrorContains(t, err, "stopped after 10 redirects")
	require.Len(t, p.seen(), 10)
	require.Equal(t, 10, state(t, tr).Breaker.Calls)
	p.requireClosed(t)
}

func quietTLS(t *testing.T) *httptest.Server {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(func() {
		srv.Client().CloseIdleConnections()
		srv.Close()
	})
	return srv
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
