//go:build linux

package main

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/s3/store"
	"github.com/magnetar-go/magnetar/policy"
)

// stream can be read but once.
type stream struct{ io.Reader }

func (c *client) putStream(t *testing.T, key string, body io.Reader, size int64) error {
	t.Helper()
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: &key, Body: stream{body}, ContentLength: &size,
	})
	return err
}

func TestFileOf64MiBIsSentAgainAfterSlowDown(t *testing.T) {
	s := serve(t, gatewayProgram)
	c := s.through(t)
	s.proxy.play(first(2, method(http.MethodPut), slowDown))
	require.NoError(t, c.putLarge(t.Context(), "key"))
	came, passed := s.proxy.counts()
	require.Equal(t, 3, came)
	require.Equal(t, 1, passed)
	require.NoError(t, c.download(t.Context(), "key", large))
}

func TestStreamOf64MiBIsSentOnce(t *testing.T) {
	s := serve(t, gatewayProgram)
	c := s.through(t)
	body := content("stream", large)
	s.proxy.play(nil)
	require.NoError(t, c.putStream(t, "stream", bytes.NewReader(body), large))
	require.NoError(t, c.download(t.Context(), "stream", large))
	came, passed := s.proxy.counts()
	require.Equal(t, 2, came)
	require.Equal(t, 2, passed)

	s.proxy.play(every(1, method(http.MethodPut), resetUpload(40*mebibyte)))
	err := c.putStream(t, "cut", bytes.NewReader(body), large)
	require.True(t, store.Away(err), err)
	came, passed = s.proxy.counts()
	require.Equal(t, 1, came)
	require.Zero(t, passed)
	require.Equal(t, 1, c.seen.count(policy.PolicyRetry, policy.ActionGiveUp))
	requireCode(t, c.head(t.Context(), "cut", large), "NotFound")
}

// Nothing of it has been read, for it was not asked for.
func TestStreamThatIsRefusedIsSentAgain(t *testing.T) {
	s := serve(t, gatewayProgram)
	for name, f := range map[string]fault{"503": slowDown, "reset": resetAtOnce} {
		c := s.through(t)
		s.proxy.play(first(2, method(http.MethodPut), f))
		require.NoError(t, c.putStream(t, name, bytes.NewReader(content(name, 4*mebibyte)), 4*mebibyte))
		came, passed := s.proxy.counts()
		require.Equal(t, 3, came)
		require.Equal(t, 1, passed)
		require.NoError(t, c.get(t.Context(), name, 4*mebibyte))
	}
}

// paced takes longer than any timeout, in steps that are shorter.
type paced struct {
	io.ReadSeeker

	pause time.Duration
}

func (p *paced) Read(b []byte) (int, error) {
	time.Sleep(p.pause)
	return p.ReadSeeker.Read(b[:min(len(b), mebibyte/16)])
}

func TestUploadThatTakesLongerThanEveryTimeoutIsNotCut(t *testing.T) {
	s := serve(t, gatewayProgram)
	chain := store.Chain()
	chain.Timeouts.Total, chain.Timeouts.Attempt = 2*time.Second, 2*time.Second
	c, err := s.client(s.proxy.url, chain)
	require.NoError(t, err)
	defer c.Close()
	s.proxy.play(nil)
	began := time.Now()
	_, err = c.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("paced"),
		Body: &paced{bytes.NewReader(content("paced", 2*mebibyte)), 100 * time.Millisecond},
	})
	require.NoError(t, err)
	require.Greater(t, time.Since(began), chain.Timeouts.Total)
	came, _ := s.proxy.counts()
	require.Equal(t, 1, came)
	require.NoError(t, c.get(t.Context(), "paced", 2*mebibyte))
}
