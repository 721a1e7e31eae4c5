//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cloudsoda/go-smb2"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func errorAs[E error](err error) (E, bool) { return errors.AsType[E](err) }

// open opens the share of a server of its own.
func open(t *testing.T) (*smbd, *Files) {
	t.Helper()
	s := startSmbd(t)
	files, err := OpenFiles(s.Server, hasty())
	require.NoError(t, err)
	t.Cleanup(func() { closeFiles(files) })
	return s, files
}

func TestFilesAreWhatWasWritten(t *testing.T) {
	s, files := open(t)
	ctx := t.Context()
	for _, size := range []int{0, 1, 4096, 1 << 20, 3<<20 + 1} {
		data := []byte(strings.Repeat("x", size))
		require.NoError(t, files.Write(ctx, "f", data))
		got, err := files.Read(ctx, "f")
		require.NoError(t, err)
		require.Equal(t, data, got)
		local, err := os.ReadFile(s.local("f"))
		require.NoError(t, err)
		require.Equal(t, data, local)
	}
	require.NoError(t, files.Write(ctx, "g", []byte("one")))
	require.NoError(t, files.Append(ctx, "g", []byte("two")))
	require.NoError(t, files.Rename(ctx, "g", "f"))
	got, err := files.Read(ctx, "f")
	require.NoError(t, err)
	require.Equal(t, "onetwo", string(got))

	require.NoError(t, os.WriteFile(s.local(temporary+"of-somebody"), nil, 0o600))
	names, err := files.List(ctx, "")
	require.NoError(t, err)
	require.Equal(t, []string{"f"}, names)
	require.NoError(t, files.Remove(ctx, "f"))
	names, err = files.List(ctx, "")
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestWhatIsNotThereIsSaidOnceAndAtOnce(t *testing.T) {
	s := startSmbd(t)
	l := &ledger{}
	files, err := OpenFiles(s.Server, hasty(), l)
	require.NoError(t, err)
	defer closeFiles(files)
	_, err = files.Read(t.Context(), "f")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = files.List(t.Context(), "dir")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorIs(t, files.Append(t.Context(), "f", nil), os.ErrNotExist)
	require.ErrorIs(t, files.Rename(t.Context(), "f", "g"), os.ErrNotExist)
	require.ErrorIs(t, files.Remove(t.Context(), "f"), os.ErrNotExist)
	require.ErrorIs(t, files.Write(t.Context(), "dir/f", nil), os.ErrNotExist)
	require.Zero(t, l.now().repeated)
}

// The server's word is not taken for how much memory there is.
func TestSizesAreBounded(t *testing.T) {
	for _, size := range []int64{-1, 11, 1 << 62} {
		_, err := readSize(new(smb2.File), size, 10)
		require.ErrorIs(t, err, ErrTooLong)
		require.True(t, policy.IsPermanent(marked(err)))
	}
}

func TestRefusalsArePermanent(t *testing.T) {
	s := startSmbd(t)
	cases := []struct {
		name  string
		spoil func(*Server)
		code  uint32
	}{
		{"wrong password", func(s *Server) { s.Password = "wrong" }, statusLogonFailure},
		{"unknown user", func(s *Server) { s.User = "nobody at all" }, statusLogonFailure},
		{"no user", func(s *Server) { s.User = "" }, 0},
		{"wrong share", func(s *Server) { s.Share = "nowhere" }, statusBadNetworkName},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			wrong := s.Server
			c.spoil(&wrong)
			l := &ledger{}
			files, err := OpenFiles(wrong, hasty(), l)
			require.NoError(t, err)
			defer closeFiles(files)
			_, err = files.Read(t.Context(), "f")
			require.ErrorIs(t, err, policy.ErrConnectionCreation)
			require.True(t, policy.IsPermanent(err), err)
			require.Zero(t, l.now().repeated)
			require.Equal(t, policy.Closed, files.breaker.State(), "the server is well")
			if c.code != 0 {
				response, ok := errorAs[*smb2.ResponseError](err)
				require.True(t, ok, err)
				require.Equal(t, c.code, response.Code)
			}
		})
	}
}

// The file is cut on the server's disk while it is open.
func TestTruncatedFileIsAnError(t *testing.T) {
	s, files := open(t)
	data := content("f", 100)
	for _, left := range []int64{0, 1, int64(len(data)) - 1} {
		require.NoError(t, files.Write(t.Context(), "f", data))
		err := files.lend(t.Context(), func(share *smb2.Share) error {
			file, err := share.Open("f")
			require.NoError(t, err)
			defer file.Close()
			info, err := file.Stat()
			require.NoError(t, err)
			require.NoError(t, os.Truncate(s.local("f"), left))
			_, err = readSize(file, info.Size(), defaultMaxRead)
			return err
		})
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
}

// Each line is appended at most once, and once if that was answered.
func TestAppendIsNeverRepeatedOnceItWasSent(t *testing.T) {
	t.Parallel()
	s := startSmbd(t)
	l := &ledger{}
	files, err := OpenFiles(s.Server, hasty(), l)
	require.NoError(t, err)
	defer closeFiles(files)
	require.NoError(t, files.Write(t.Context(), "log", nil))

	working, stop := context.WithCancel(t.Context())
	defer stop()
	answered := make(chan []string, 1)
	go func() {
		var lines []string
		for n := 0; working.Err() == nil; n++ {
			line := strconv.Itoa(n) + strings.Repeat("x", n%1000) + "\n"
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if l.enter(func() error { return files.Append(ctx, "log", []byte(line)) }) == nil {
				lines = append(lines, line)
			}
			cancel()
		}
		answered <- lines
	}()
	for range 5 {
		require.NoError(t, l.await(t.Context(), l.now(), tally{answered: 50}))
		s.kill()
		s.revive()
	}
	stop()
	lines := <-answered
	require.NoError(t, l.loss())
	end := l.now()
	require.Equal(t, end.offered, end.answered+end.unknown)
	local, err := os.ReadFile(s.local("log"))
	require.NoError(t, err)
	there := slices.Collect(strings.Lines(string(local)))
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(there))), len(there), "none is there twice")
	next := 0
	for _, line := range there { // what is there in excess is of those that are unknown
		if next < len(lines) && line == lines[next] {
			next++
		}
	}
	require.Len(t, lines, next, "all that was answered is there, in its order")
	report("smbd killed and restarted, appends", end)
}

// The server hangs with the request in its hands, and does it when it goes on.
func TestRenameOfUnknownFateIsNotRepeated(t *testing.T) {
	s, files := open(t)
	require.NoError(t, files.Write(t.Context(), "f", []byte("data")))
	calls := 0
	err := files.once(t.Context(), "rename", "f", files.lend, func(share *smb2.Share, sent func()) error {
		calls++
		sent()
		s.pause()
		return share.Rename("f", "g")
	})
	s.resume()
	unknown, ok := errorAs[*UnknownError](err)
	require.True(t, ok, err)
	require.Equal(t, "f", unknown.Name)
	require.ErrorIs(t, err, policy.ErrTimeout)
	require.Equal(t, 1, calls)
}

// Somebody else has the file open, and does not let go of it before the server has
// refused the rename.
func TestRenameThatIsRefusedForNowIsRepeated(t *testing.T) {
	s := startSmbd(t)
	l := &ledger{}
	files, err := OpenFiles(s.Server, hasty(), l)
	require.NoError(t, err)
	defer closeFiles(files)
	require.NoError(t, files.Write(t.Context(), "f", []byte("data")))
	other, err := s.dial(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, other.close()) }()
	file, err := other.share.Open("f")
	require.NoError(t, err)
	renamed := make(chan error, 1)
	go func() { renamed <- files.Rename(t.Context(), "f", "g") }()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	require.NoError(t, l.await(ctx, tally{}, tally{repeated: 2}))
	require.NoError(t, file.Close())
	require.NoError(t, returns(t, func() error { return <-renamed }))
	requireThere(t, s, "g")
}
