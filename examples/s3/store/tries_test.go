package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
)

const (
	overTLS = "https://s3.test"
	plain   = "http://s3.test"
)

func put(t *testing.T, s *Store, body io.Reader, size int) error {
	t.Helper()
	_, err := s.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("b"), Key: aws.String("k"), Body: body, ContentLength: aws.Int64(int64(size)),
	})
	return err
}

func TestEveryTryIsSignedWhenItIsMade(t *testing.T) {
	for _, endpoint := range []string{overTLS, plain} {
		t.Run(endpoint, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				later := status(http.StatusServiceUnavailable, slowDown, "Retry-After: 10")
				peer := &stub{answers: []func(*http.Request) (*http.Response, error){later, later}}
				s := over(peer, configuration(endpoint), Chain())
				require.NoError(t, put(t, s, strings.NewReader("content"), 7))
				require.Len(t, peer.got, 3)
				dates := map[string]bool{}
				for _, r := range peer.got {
					requireSigned(t, r, key)
					require.Equal(t, peer.got[0].body, r.body)
					require.Equal(t, peer.got[0].ContentLength, r.ContentLength)
					require.True(t, r.ProtoAtLeast(1, 1), "or else 100-continue is not waited for")
					dates[r.Header.Get("X-Amz-Date")] = true
				}
				require.Len(t, dates, 3)

				peer.answers = append(peer.answers, later)
				_, err := s.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
				require.NoError(t, err)
				require.Len(t, peer.got, 5)
				requireSigned(t, peer.got[3], key)
				requireSigned(t, peer.got[4], key)
			})
		})
	}
}

func TestBodyIsEncodedAsTheSDKDoes(t *testing.T) {
	for endpoint, want := range map[string]string{
		overTLS: "7\r\ncontent\r\n0\r\nx-amz-checksum-crc32:/sUwqQ==\r\n\r\n",
		plain:   "content",
	} {
		peer := &stub{answers: []func(*http.Request) (*http.Response, error){failed(syscall.ECONNRESET)}}
		require.NoError(t, put(t, over(peer, configuration(endpoint), Chain()), strings.NewReader("content"), 7))
		require.Len(t, peer.got, 2)
		for _, r := range peer.got {
			require.Equal(t, want, r.body)
			require.EqualValues(t, len(want), r.ContentLength)
		}
	}
}

// rotating are credentials that are others each time.
type rotating struct{ times int }

func (r *rotating) Retrieve(context.Context) (aws.Credentials, error) {
	r.times++
	return r.at(r.times), nil
}

func (*rotating) at(n int) aws.Credentials {
	return aws.Credentials{AccessKeyID: fmt.Sprint("key", n), SecretAccessKey: fmt.Sprint("secret", n), SessionToken: fmt.Sprint("token", n)}
}

func TestRetryIsSignedWithTheCredentialsOfItsTime(t *testing.T) {
	peer := &stub{answers: []func(*http.Request) (*http.Response, error){failed(syscall.ECONNRESET)}}
	cfg, rotated := configuration(overTLS), &rotating{}
	cfg.Credentials = rotated
	require.NoError(t, put(t, over(peer, cfg, Chain()), strings.NewReader("content"), 7))
	require.Len(t, peer.got, 2)
	requireSigned(t, peer.got[0], rotated.at(1))
	requireSigned(t, peer.got[1], rotated.at(2))
}

// slow is a body that takes 20 s for a Read.
type slow struct{ *bytes.Reader }

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(20 * time.Second)
	return s.Reader.Read(p[:min(len(p), 1000)])
}

func TestUploadThatIsCutAfterTheSignatureHasExpiredIsSentAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &stub{answers: []func(*http.Request) (*http.Response, error){failed(syscall.ECONNRESET)}}
		began := time.Now()
		err := put(t, over(peer, configuration(overTLS), Chain()), slow{bytes.NewReader(make([]byte, 100_000))}, 100_000)
		require.NoError(t, err)
		require.Greater(t, time.Since(began), 30*time.Minute)
		require.Len(t, peer.got, 2)
		date, err := time.Parse("20060102T150405Z", peer.got[1].Header.Get("X-Amz-Date"))
		require.NoError(t, err)
		require.Greater(t, date.Sub(began), 30*time.Minute)
		require.Equal(t, peer.got[0].body, peer.got[1].body)
	})
}

func TestBodyIsSentFromWhereItStood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("not this, but this"), 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.Seek(10, io.SeekStart)
	require.NoError(t, err)
	peer := &stub{answers: []func(*http.Request) (*http.Response, error){failed(syscall.ECONNRESET)}}
	require.NoError(t, put(t, over(peer, configuration(plain), Chain()), f, 8))
	require.Len(t, peer.got, 2)
	require.Equal(t, "but this", peer.got[0].body)
	require.Equal(t, "but this", peer.got[1].body)
}

func TestStreamIsSentOnceUnlessItIsSmall(t *testing.T) {
	for size, tries := range map[int]int{100: 2, 100_000: 1} {
		peer := &stub{answers: []func(*http.Request) (*http.Response, error){failed(syscall.ECONNRESET)}}
		err := put(t, over(peer, configuration(overTLS), Chain()), io.LimitReader(zeros{}, int64(size)), size)
		require.Len(t, peer.got, tries)
		if tries == 1 {
			require.ErrorIs(t, err, syscall.ECONNRESET)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, peer.got[0].body, peer.got[1].body)
		require.Equal(t, peer.got[0].Header, peer.got[1].Header)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestStreamIsRefusedByTheSDKWithoutTLS(t *testing.T) {
	peer := &stub{}
	err := put(t, over(peer, configuration(plain), Chain()), io.LimitReader(zeros{}, 100_000), 100_000)
	require.ErrorContains(t, err, "unseekable stream")
	require.Empty(t, peer.got)
}

func TestPresignedURLIsLeftAsItIs(t *testing.T) {
	peer := &stub{answers: []func(*http.Request) (*http.Response, error){failed(syscall.ECONNRESET)}}
	s := over(peer, configuration(overTLS), Chain())
	url, err := s3.NewPresignClient(s.Client).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
	require.NoError(t, err)
	require.Empty(t, peer.got)
	resp, err := s.HTTP.Get(url.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Len(t, peer.got, 2)
	for _, r := range peer.got {
		require.Equal(t, url.URL, r.URL.String())
		require.Empty(t, r.Header.Get("Authorization"))
	}
}
