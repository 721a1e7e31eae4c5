//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"
)

func TestObjectsAreWhatWasWritten(t *testing.T) {
	s := serve(t, gatewayProgram)
	c := s.through(t)
	s.proxy.play(nil)
	for _, size := range []int{0, 1, small, mebibyte} {
		key := fmt.Sprint("object-", size)
		require.NoError(t, c.put(t.Context(), key, size))
		require.NoError(t, c.get(t.Context(), key, size))
		require.NoError(t, c.head(t.Context(), key, size))
		require.NoError(t, c.download(t.Context(), key, size))
	}
	require.NoError(t, c.multipart(t.Context(), "object-parts", 2*partSize+1))
	require.NoError(t, c.get(t.Context(), "object-parts", 2*partSize+1))

	keys, err := c.list(t.Context(), "object-")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"object-0", "object-1", "object-16384", "object-1048576", "object-parts"}, keys)
	require.NoError(t, c.remove(t.Context(), "object-0"))
	_, err = c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{
		Objects: []types.ObjectIdentifier{{Key: aws.String("object-1")}, {Key: aws.String("object-parts")}},
	}})
	require.NoError(t, err)
	keys, err = c.list(t.Context(), "object-")
	require.NoError(t, err)
	require.Len(t, keys, 2)

	came, passed := s.proxy.counts()
	require.Equal(t, came, passed)
	require.Equal(t, 4*4+5+1+4, came, "one request for each call")
}

func TestSlowDownIsRepeatedOnce(t *testing.T) {
	s := serve(t, gatewayProgram)
	c := s.through(t)
	s.proxy.play(first(1, anything, slowDown))
	require.NoError(t, c.put(t.Context(), "key", small))
	came, passed := s.proxy.counts()
	require.Equal(t, 2, came)
	require.Equal(t, 1, passed)

	s.proxy.play(every(1, anything, slowDown))
	err := c.put(t.Context(), "key", small)
	requireCode(t, err, "SlowDown")
	came, passed = s.proxy.counts()
	require.Equal(t, 3, came, "one layer, three tries")
	require.Zero(t, passed)
}

// What the server has done, but could not say, is done again; to the one who
// asked it makes no difference.
func TestAnswerThatIsLostIsAskedForAgain(t *testing.T) {
	s := serve(t, gatewayProgram)
	for name, call := range map[string]struct {
		requests int
		make     func(*client) error
	}{
		"put":       {1, func(c *client) error { return c.put(t.Context(), "key", small) }},
		"get":       {1, func(c *client) error { return c.get(t.Context(), "key", small) }},
		"head":      {1, func(c *client) error { return c.head(t.Context(), "key", small) }},
		"delete":    {1, func(c *client) error { return c.remove(t.Context(), "another") }},
		"multipart": {3, func(c *client) error { return c.multipart(t.Context(), "parts", small) }},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.through(t)
			require.NoError(t, c.put(t.Context(), "key", small))
			s.proxy.play(first(1, anything, resetAnswer))
			require.NoError(t, call.make(c))
			came, passed := s.proxy.counts()
			require.Equal(t, call.requests+1, came)
			require.Equal(t, came, passed)
		})
	}
}

func TestUploadWhoseLastAnswerIsLostIsThere(t *testing.T) {
	s := serve(t, gatewayProgram)
	c := s.through(t)
	s.proxy.play(first(1, func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") }, resetAnswer))
	require.NoError(t, c.multipart(t.Context(), "parts", small))
	came, passed := s.proxy.counts()
	require.Equal(t, 4, came)
	require.Equal(t, 4, passed)
	require.NoError(t, c.get(t.Context(), "parts", small))
}

func TestPresignedURLWorksThroughTheKit(t *testing.T) {
	s := serve(t, gatewayProgram)
	c := s.through(t)
	urls := s3.NewPresignClient(c.Client)
	key, body := "presigned", content("presigned", mebibyte)

	up, err := urls.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key})
	require.NoError(t, err)
	s.proxy.play(first(1, anything, resetUpload(mebibyte/2)))
	req, err := http.NewRequest(up.Method, up.URL, bytes.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, do(t, c.HTTP, req, io.Discard))

	down, err := urls.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	require.NoError(t, err)
	s.proxy.play(first(1, anything, slowDown))
	req, err = http.NewRequest(down.Method, down.URL, nil)
	require.NoError(t, err)
	sum := sha256.New()
	require.Equal(t, http.StatusOK, do(t, c.HTTP, req, sum))
	require.NoError(t, right(sum, key, mebibyte))
	came, passed := s.proxy.counts()
	require.Equal(t, 2, came)
	require.Equal(t, 1, passed)
}

func do(t *testing.T, c *http.Client, req *http.Request, w io.Writer) int {
	t.Helper()
	resp, err := c.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	require.NoError(t, err)
	return resp.StatusCode
}
