//go:build linux

package main

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestBadNamesAskNobody(t *testing.T) {
	files, err := OpenFiles(Server{Address: "127.0.0.1:1", Share: shareName}, one())
	require.NoError(t, err)
	defer closeFiles(files)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // whoever asks for more than the name is told so
	for _, name := range []string{
		"", ".", "/", "/f", `\f`, "..", "../f", "dir/../f", `dir\..\f`, "dir//f", "dir/", "./f",
		"f\x00g", "f\xff", strings.Repeat("f", longestName+1),
	} {
		_, read := files.Read(ctx, name)
		for _, err := range []error{
			read, files.Write(ctx, name, nil), files.Append(ctx, name, nil), files.Remove(ctx, name),
			files.Rename(ctx, name, "f"), files.Rename(ctx, "f", name),
		} {
			require.ErrorIs(t, err, fs.ErrInvalid, "%.60q", name)
			require.True(t, policy.IsPermanent(err))
			require.Less(t, len(err.Error()), 200)
		}
		if name != "" && name != "." {
			_, err := files.List(ctx, name)
			require.ErrorIs(t, err, fs.ErrInvalid, "%.60q", name)
		}
	}
	for _, name := range []string{temporary + "f", "dir/" + temporary + "f", `dir\` + temporary} {
		require.ErrorIs(t, files.Write(ctx, name, nil), fs.ErrInvalid)
		require.ErrorIs(t, files.Rename(ctx, "f", name), fs.ErrInvalid)
	}
}

// A file of another name, which is what a server may understand, stays as it is.
func TestNamesThatAreTooLongAreNotCut(t *testing.T) {
	s, files := open(t)
	require.NoError(t, files.Write(t.Context(), "fff", []byte("data")))
	require.Error(t, files.Remove(t.Context(), strings.Repeat("f", 1<<15+len("fff"))))
	require.Error(t, files.Rename(t.Context(), "fff", "g\x00h"))
	require.Error(t, files.Write(t.Context(), "g\x00h", nil))
	requireThere(t, s, "fff")
	require.ErrorContains(t, files.Remove(t.Context(), strings.Repeat("f", longestName)), "invalid", "the server's word")
}

// What is not complete yet is beside what it is to be, however that is written.
func TestIncompleteFileIsBesideItsPlace(t *testing.T) {
	for name, want := range map[string]string{
		"f": temporary + "x", "dir/f": "dir/" + temporary + "x", `dir\sub/f`: "dir/sub/" + temporary + "x",
	} {
		require.Equal(t, want, beside(name, "x"))
	}
	s, files := open(t)
	require.NoError(t, os.Mkdir(s.local("dir"), 0o700))
	require.NoError(t, files.Write(t.Context(), `dir\f`, []byte("data")))
	data, err := files.Read(t.Context(), "dir/f")
	require.NoError(t, err)
	require.Equal(t, "data", string(data))
	// What a program that died has left may be read and removed.
	require.NoError(t, os.WriteFile(s.local("dir/"+temporary+"f"), []byte("half"), 0o600))
	data, err = files.Read(t.Context(), "dir/"+temporary+"f")
	require.NoError(t, err)
	require.Equal(t, "half", string(data))
	require.NoError(t, files.Remove(t.Context(), "dir/"+temporary+"f"))
}
