//go:build linux

package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/s3/store"
	"github.com/magnetar-go/magnetar/policy"
)

func TestAnswerThatIsCutIsAClearError(t *testing.T) {
	s := serve(t, gatewayProgram)
	for name, c := range map[string]struct {
		fault fault
		check func(*testing.T, error)
	}{
		"reset":     {resetBody(mebibyte / 2), func(t *testing.T, err error) { require.ErrorIs(t, err, syscall.ECONNRESET) }},
		"truncated": {truncate(mebibyte / 2), func(t *testing.T, err error) { require.ErrorIs(t, err, io.ErrUnexpectedEOF) }},
		"stalled":   {stallBody(mebibyte / 2), func(t *testing.T, err error) { require.ErrorIs(t, err, policy.ErrTimeout) }},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := s.client(s.proxy.url, impatient())
			require.NoError(t, err)
			defer client.Close()
			require.NoError(t, client.put(t.Context(), "key", mebibyte))
			require.Zero(t, client.breaker(t).Failures)
			s.proxy.play(first(1, anything, c.fault))
			c.check(t, client.get(t.Context(), "key", mebibyte))
			came, _ := s.proxy.counts()
			require.Equal(t, 1, came, "an answer that has begun is not repeated")
			require.Equal(t, 1, client.breaker(t).Failures)

			s.proxy.play(first(1, anything, c.fault))
			require.NoError(t, client.download(t.Context(), "key", mebibyte))
			came, _ = s.proxy.counts()
			require.Equal(t, 2, came, "but a download goes on")
		})
	}
}

func TestAnswersThatAreCutOpenTheBreaker(t *testing.T) {
	s := serve(t, gatewayProgram)
	c := s.through(t)
	require.NoError(t, c.put(t.Context(), "key", mebibyte))
	s.proxy.play(every(1, method(http.MethodGet), resetBody(mebibyte/2)))
	for c.seen.count(policy.PolicyBreaker, policy.ActionOpen) == 0 {
		require.Error(t, c.get(t.Context(), "key", mebibyte))
		came, _ := s.proxy.counts()
		require.Less(t, came, 2*many)
	}
	require.Equal(t, policy.Open, c.breaker(t).State)
}

func TestContentThatIsNotWhatWasWrittenIsAnError(t *testing.T) {
	s := serve(t, gatewayProgram)
	c := s.through(t)
	require.NoError(t, c.put(t.Context(), "key", mebibyte))
	s.proxy.play(first(1, anything, corrupt))
	require.ErrorContains(t, c.get(t.Context(), "key", mebibyte), "checksum did not match")

	s.proxy.play(nil)
	require.NoError(t, os.Truncate(filepath.Join(s.daemon.Dir, "objects", bucket, "key"), mebibyte/2))
	require.ErrorContains(t, c.get(t.Context(), "key", mebibyte), "checksum did not match")
	require.Error(t, c.download(t.Context(), "key", mebibyte))
	came, _ := s.proxy.counts()
	require.Equal(t, 2, came)
	require.Zero(t, c.breaker(t).Failures)
}

func TestDownloadThatTakesLongerThanEveryTimeoutIsNotCut(t *testing.T) {
	s := serve(t, gatewayProgram)
	require.NoError(t, s.through(t).putLarge(t.Context(), "key"))
	chain := store.Chain()
	chain.Timeouts.Total, chain.Timeouts.Attempt = 2*time.Second, 2*time.Second
	c, err := s.client(s.proxy.url, chain)
	require.NoError(t, err)
	defer c.Close()

	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("key")})
	require.NoError(t, err)
	defer out.Body.Close()
	_, err = io.CopyN(io.Discard, out.Body, mebibyte)
	require.NoError(t, err)
	time.Sleep(3 * chain.Timeouts.Total / 2) // the reader takes its time
	rest, err := io.Copy(io.Discard, out.Body)
	require.NoError(t, err)
	require.EqualValues(t, large-mebibyte, rest)
	require.Zero(t, c.breaker(t).Failures)
}
