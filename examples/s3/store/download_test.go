package store

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

const crc32OfContent = "X-Amz-Checksum-Crc32: /sUwqQ=="

// memory is written to as a file is.
type memory []byte

func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	if more := int(at) + len(p) - len(*m); more > 0 {
		*m = append(*m, make([]byte, more)...)
	}
	return copy((*m)[at:], p), nil
}

// dying is a body that is reset after so much of it.
func dying(text string) io.Reader {
	return io.MultiReader(strings.NewReader(text), iotest.ErrReader(syscall.ECONNRESET))
}

func TestDownloadGoesOnWhereItWasCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &stub{answers: answers(
			answer(http.StatusOK, dying("con"), `Etag: "1"`, crc32OfContent),
			answer(http.StatusPartialContent, dying("te"), `Etag: "1"`, "Content-Range: bytes 3-6/7"),
			status(http.StatusPartialContent, "nt", `Etag: "1"`, "Content-Range: bytes 5-6/7"),
		)}
		var got memory
		size, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", &got)
		require.NoError(t, err)
		require.EqualValues(t, 7, size)
		require.Equal(t, "content", string(got))
		require.Empty(t, peer.got[0].Header.Get("Range"))
		require.Equal(t, "bytes=3-", peer.got[1].Header.Get("Range"))
		require.Equal(t, "bytes=5-", peer.got[2].Header.Get("Range"))
		require.Equal(t, `"1"`, peer.got[2].Header.Get("If-Match"))
	})
}

func TestDownloadDoesNotMixObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &stub{answers: answers(
			answer(http.StatusOK, dying("con"), `Etag: "1"`),
			status(http.StatusPreconditionFailed, "<Error><Code>PreconditionFailed</Code></Error>"),
		)}
		size, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", new(memory))
		require.ErrorContains(t, err, "PreconditionFailed")
		require.EqualValues(t, 3, size)
		require.Len(t, peer.got, 2)
	})
}

func TestDownloadThatHasNothingYetTakesWhatThereIsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &stub{answers: answers(
			answer(http.StatusOK, dying(""), `Etag: "0"`, "X-Amz-Checksum-Crc32: AAAAAA=="),
			answer(http.StatusOK, dying("con"), `Etag: "1"`, crc32OfContent),
			status(http.StatusPartialContent, "tent", `Etag: "1"`, "Content-Range: bytes 3-6/7"),
		)}
		var got memory
		_, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", &got)
		require.NoError(t, err)
		require.Equal(t, "content", string(got))
		require.Equal(t, `"1"`, peer.got[2].Header.Get("If-Match"))
	})
}

func TestDownloadThatIsMadeAgainBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &stub{answers: append(answers(
			answer(http.StatusOK, dying("con"), `Etag: "1"`, crc32OfContent)),
			append(slices.Repeat(answers(status(http.StatusServiceUnavailable, slowDown)), 3),
				status(http.StatusOK, "content", `Etag: "1"`, crc32OfContent))...)}
		st := over(peer, configuration(overTLS), Chain())
		var got memory
		var size int64
		require.NoError(t, Outlast(t.Context(), func(ctx context.Context) (err error) {
			size, err = st.Download(ctx, "b", "k", &got)
			return err
		}))
		require.EqualValues(t, 7, size)
		require.Equal(t, "content", string(got))
		require.Len(t, peer.got, 5)
	})
}

func TestSumOfPartsIsNotThatOfTheWhole(t *testing.T) {
	peer := &stub{answers: answers(status(http.StatusOK, "content", `Etag: "1"`, "X-Amz-Checksum-Crc32: CsLaJA==-3"))}
	_, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", new(memory))
	require.NoError(t, err)
}

func TestDownloadOfWhatHasNoETagIsNotContinued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &stub{answers: answers(answer(http.StatusOK, dying("con")))}
		_, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", new(memory))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.ErrorContains(t, err, "without an ETag")
		require.Len(t, peer.got, 1)
	})
}

func TestDownloadDoesNotBeginAnewInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &stub{answers: answers(
			answer(http.StatusOK, dying("con"), `Etag: "1"`),
			status(http.StatusOK, "content", `Etag: "1"`),
		)}
		var got memory
		_, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", &got)
		require.ErrorIs(t, err, errRange)
		require.Equal(t, "con", string(got))
	})
}

func TestDownloadChecksTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &stub{answers: answers(
			answer(http.StatusOK, dying("con"), `Etag: "1"`, crc32OfContent),
			status(http.StatusPartialContent, "tant", `Etag: "1"`, "Content-Range: bytes 3-6/7"),
		)}
		_, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", new(memory))
		require.ErrorContains(t, err, "CRC-32")
	})
}

func TestDownloadGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &stub{answers: slices.Repeat(answers(answer(http.StatusOK, iotest.ErrReader(syscall.ECONNRESET))), 20)}
		_, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", new(memory))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Len(t, peer.got, 6)
	})
}

var errFull = errors.New("disk is full")

type full struct{}

func (full) WriteAt([]byte, int64) (int, error) { return 0, errFull }

func TestDownloadEndsWithAnErrorOfTheWriter(t *testing.T) {
	peer := &stub{answers: answers(status(http.StatusOK, "content"))}
	_, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", full{})
	require.ErrorIs(t, err, errFull)
	require.Len(t, peer.got, 1)
}
