package store

import (
	"bytes"
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
		var got bytes.Buffer
		size, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", &got)
		require.NoError(t, err)
		require.EqualValues(t, 7, size)
		require.Equal(t, "content", got.String())
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
		size, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", io.Discard)
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
		var got bytes.Buffer
		_, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", &got)
		require.NoError(t, err)
		require.Equal(t, "content", got.String())
		require.Equal(t, `"1"`, peer.got[2].Header.Get("If-Match"))
	})
}

func TestDownloadOfWhatHasNoETagIsNotContinued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &stub{answers: answers(answer(http.StatusOK, dying("con")))}
		_, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", io.Discard)
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
		var got bytes.Buffer
		_, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", &got)
		require.ErrorIs(t, err, errRange)
		require.Equal(t, "con", got.String())
	})
}

func TestDownloadChecksTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &stub{answers: answers(
			answer(http.StatusOK, dying("con"), `Etag: "1"`, crc32OfContent),
			status(http.StatusPartialContent, "tant", `Etag: "1"`, "Content-Range: bytes 3-6/7"),
		)}
		_, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", io.Discard)
		require.ErrorContains(t, err, "CRC-32")
	})
}

func TestDownloadGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &stub{answers: slices.Repeat(answers(answer(http.StatusOK, iotest.ErrReader(syscall.ECONNRESET))), 20)}
		_, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", io.Discard)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Len(t, peer.got, 6)
	})
}

var errFull = errors.New("disk is full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestDownloadEndsWithAnErrorOfTheWriter(t *testing.T) {
	peer := &stub{answers: answers(status(http.StatusOK, "content"))}
	_, err := over(peer, configuration(overTLS), Chain()).Download(t.Context(), "b", "k", full{})
	require.ErrorIs(t, err, errFull)
	require.Len(t, peer.got, 1)
}
