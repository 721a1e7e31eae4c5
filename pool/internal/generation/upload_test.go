package generation

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// counted is a body that counts its closes, and cannot be read after one.
type counted struct {
	io.Reader
	closes int
}

func (b *counted) Close() error {
	b.closes++
	return nil
}

func (b *counted) Read(p []byte) (int, error) {
	if b.closes > 0 {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.Reader.Read(p)
}

func TestUploadClosedUnreadCanBeSentOnAnotherConnection(t *testing.T) {
	body := &counted{Reader: strings.NewReader("text")}
	u := &upload{body: body}
	require.NoError(t, u.Close())
	again, err := u.again()
	require.NoError(t, err)
	text, err := io.ReadAll(again)
	require.NoError(t, err)
	require.Equal(t, "text", string(text))
	_, err = u.again()
	require.ErrorIs(t, err, errReplay)
	require.NoError(t, again.Close())
	u.settle()
	require.Equal(t, 1, body.closes)
}

func TestUploadClosedUnreadIsClosedWithTheRoundTrip(t *testing.T) {
	body := &counted{Reader: strings.NewReader("text")}
	u := &upload{body: body}
	require.NoError(t, u.Close())
	require.Zero(t, body.closes)
	u.settle()
	require.Equal(t, 1, body.closes)

	late := &counted{Reader: strings.NewReader("text")}
	u = &upload{body: late}
	u.settle()
	require.NoError(t, u.Close())
	require.Equal(t, 1, late.closes)
}
