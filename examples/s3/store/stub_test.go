package store

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// request is one that the stub got.
type request struct {
	*http.Request

	at   time.Time
	body string
}

// stub is S3: it answers with what it was given, in order, and 200 from then on.
type stub struct {
	got     []request
	answers []func(*http.Request) (*http.Response, error)
}

func (s *stub) RoundTrip(r *http.Request) (*http.Response, error) {
	got := request{Request: r, at: time.Now()}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		got.body = string(body)
	}
	s.got = append(s.got, got)
	answer := status(http.StatusOK, "")
	if len(s.answers) > 0 {
		answer, s.answers = s.answers[0], s.answers[1:]
	}
	return answer(r)
}

// status is an answer; headers are "Name: value".
func status(code int, body string, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		return answer(code, strings.NewReader(body), headers...)(r)
	}
}

func answer(code int, body io.Reader, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			h.Set(name, value)
		}
		return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(body), ContentLength: -1, Request: r}, nil
	}
}

func failed(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

const slowDown = `<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`

// key is the credentials that a test signs with.
var key = aws.Credentials{AccessKeyID: "key", SecretAccessKey: "secret"}

func configuration(endpoint string) aws.Config {
	return aws.Config{
		Region: "eu-central-1", BaseEndpoint: aws.String(endpoint),
		Credentials:      credentials.StaticCredentialsProvider{Value: key},
		RetryMaxAttempts: 5, // as the environment may have it; it must change nothing
	}
}

// requireSigned checks that the request has the signature that its signed
// headers must have, by some credentials, made when it was sent.
func requireSigned(t *testing.T, r request, by aws.Credentials) {
	t.Helper()
	date, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	require.NoError(t, err)
	require.WithinDuration(t, r.at, date, 5*time.Second)

	authorization := r.Header.Get("Authorization")
	_, list, _ := strings.Cut(authorization, "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	again := r.Clone(context.Background())
	again.Header = http.Header{}
	for name := range strings.SplitSeq(list, ";") {
		if values := r.Header.Values(name); len(values) > 0 {
			again.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	require.NotContains(t, list, "traceparent")
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	hash := r.Header.Get("X-Amz-Content-Sha256")
	require.NoError(t, signer.SignHTTP(t.Context(), by, again, hash, "s3", "eu-central-1", date))
	require.Equal(t, again.Header.Get("Authorization"), authorization)
}
