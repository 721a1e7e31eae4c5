package store

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
)

func TestNewReportsAnInvalidEndpointWhenItIsUsed(t *testing.T) {
	s, err := New(configuration("https://192.0.2.1:0"), Chain(), nil)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.ListBuckets(t.Context(), nil)
	require.Error(t, err)
	require.False(t, s.Options().Retryer.IsErrorRetryable(err))
}

func TestThereIsOneLayerOfRetries(t *testing.T) {
	peer := &stub{answers: slices.Repeat(answers(status(http.StatusServiceUnavailable, slowDown)), 20)}
	err := put(t, over(peer, configuration(overTLS), Chain()), strings.NewReader("content"), 7)
	var said smithy.APIError
	require.ErrorAs(t, err, &said)
	require.Equal(t, "SlowDown", said.ErrorCode())
	require.Len(t, peer.got, 3)
	require.Empty(t, peer.got[0].Header.Get("Traceparent"))
}

func answers(a ...func(*http.Request) (*http.Response, error)) []func(*http.Request) (*http.Response, error) {
	return a
}

func TestInternalErrorIsRepeatedForWhatIsIdempotent(t *testing.T) {
	peer := &stub{answers: answers(status(http.StatusInternalServerError, ""))}
	require.NoError(t, put(t, over(peer, configuration(overTLS), Chain()), strings.NewReader("content"), 7))
	require.Len(t, peer.got, 2)
}

func TestRefusalIsNotRepeated(t *testing.T) {
	for _, code := range []int{http.StatusForbidden, http.StatusNotFound, http.StatusPreconditionFailed, http.StatusMovedPermanently} {
		peer := &stub{answers: answers(status(code, "<Error><Code>No</Code></Error>", "Location: https://other.test/"))}
		err := put(t, over(peer, configuration(overTLS), Chain()), strings.NewReader("content"), 7)
		require.ErrorContains(t, err, "No")
		require.Len(t, peer.got, 1)
	}
}

func TestPostIsRepeatedWhereItDoesNoHarm(t *testing.T) {
	for name, call := range map[string]func(*Store) error{
		"DeleteObjects": func(s *Store) error {
			_, err := s.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
				Bucket: aws.String("b"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("k")}}},
			})
			return err
		},
		"CreateMultipartUpload": func(s *Store) error {
			_, err := s.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("b"), Key: aws.String("k")})
			return err
		},
		"CompleteMultipartUpload": func(s *Store) error {
			_, err := s.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
				Bucket: aws.String("b"), Key: aws.String("k"), UploadId: aws.String("u"),
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			peer := &stub{answers: answers(failed(syscall.ECONNRESET), status(http.StatusOK, "<X/>"))}
			require.NoError(t, call(over(peer, configuration(overTLS), Chain())))
			require.Len(t, peer.got, 2)
			requireSigned(t, peer.got[1], key)
			require.Equal(t, peer.got[0].body, peer.got[1].body)
		})
	}
	peer := &stub{answers: answers(failed(syscall.ECONNRESET))}
	_, err := over(peer, configuration(overTLS), Chain()).RestoreObject(t.Context(), &s3.RestoreObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Len(t, peer.got, 1)
}

// A session of S3 Express is a call of its own: one that a retry has to make is
// sent, and not taken for the retry's preparation.
func TestSessionThatHasExpiredIsRenewedForTheRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		puts := 0
		peer := roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.URL.RawQuery, "session") {
				sent = append(sent, "session")
				expires := time.Now().Add(90 * time.Second).UTC().Format(time.RFC3339)
				return status(http.StatusOK, "<CreateSessionResult><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"+
					"<SessionToken>"+expires+"</SessionToken><Expiration>"+expires+"</Expiration></Credentials></CreateSessionResult>")(r)
			}
			sent = append(sent, r.Header.Get("X-Amz-S3session-Token"))
			if puts++; puts == 1 {
				return status(http.StatusServiceUnavailable, slowDown, "Retry-After: 100")(r)
			}
			return status(http.StatusOK, "")(r)
		})
		cfg := configuration("")
		cfg.BaseEndpoint = nil
		chain := Chain()
		chain.Retry.MaxRetryAfter = time.Hour
		chain.Timeouts.Total = time.Hour
		s := over(peer, cfg, chain)
		_, err := s.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("b--euc1-az1--x-s3"), Key: aws.String("k"), Body: strings.NewReader("content"),
		})
		require.NoError(t, err)
		require.Len(t, sent, 4, sent)
		require.Equal(t, "session", sent[0])
		require.Equal(t, "session", sent[2])
		require.NotEqual(t, sent[1], sent[3])
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	return f(r)
}
