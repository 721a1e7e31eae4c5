//go:build linux

package main

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// The server has written more than it was sent, or so it says: go-smb2 believes it.
func TestServerThatLiesAboutWhatItWrote(t *testing.T) {
	s := startSmbd(t)
	var lies atomic.Int64
	lies.Store(1)
	files := through(t, relay(t, s, unseen, func(p packet) {
		if p.command() == smbWrite && lies.Add(-1) >= 0 {
			p.setWritten(1 << 20)
		}
	}))
	require.NoError(t, files.Write(t.Context(), "f", []byte("data")))
	lies.Store(1)
	_, unknown := errorAs[*UnknownError](files.Append(t.Context(), "f", []byte("more")))
	require.True(t, unknown)
	data, err := files.Read(t.Context(), "f")
	require.NoError(t, err)
	require.Equal(t, "datamore", string(data))
}

// The share was closed between the rename and the close of what was renamed.
func TestRenameThatOnlyItsCloseFailed(t *testing.T) {
	s := startSmbd(t)
	var closed, renamed atomic.Bool
	closed.Store(true)
	files := through(t, relay(t, s, func(p packet) {
		if p.renames() {
			renamed.Store(closed.Swap(false))
		}
	}, func(p packet) {
		if p.command() == smbClose && renamed.Swap(false) {
			p.refuse(statusNetworkNameDeleted)
		}
	}))
	require.NoError(t, files.Write(t.Context(), "f", []byte("data")), "it is repeated")
	closed.Store(true)
	err := files.Rename(t.Context(), "f", "g")
	_, unknown := errorAs[*UnknownError](err)
	require.True(t, unknown, err)
	requireThere(t, s, "g")
}

// The end of the file is asked for twice, and not found.
func TestAppendWritesNowhereButAtTheEnd(t *testing.T) {
	s := startSmbd(t)
	var refused atomic.Int64
	files := through(t, relay(t, s, unseen, func(p packet) {
		if p.command() == smbQueryInfo && refused.Add(1) <= 2 {
			p.refuse(statusInsuffServerResource)
		}
	}))
	require.NoError(t, os.WriteFile(s.local("f"), []byte("one"), 0o600))
	require.NoError(t, files.Append(t.Context(), "f", []byte("two")))
	data, err := os.ReadFile(s.local("f"))
	require.NoError(t, err)
	require.Equal(t, "onetwo", string(data))
}

func TestAppendsOfManyAreAllThere(t *testing.T) {
	s, files := open(t)
	require.NoError(t, files.Write(t.Context(), "f", nil))
	const writers, each = 4, 25
	var wg sync.WaitGroup
	errs := make(chan error, writers*each)
	for range writers {
		wg.Go(func() {
			for range each {
				errs <- files.Append(t.Context(), "f", []byte("line\n"))
			}
		})
	}
	wg.Wait()
	for range writers * each {
		require.NoError(t, <-errs)
	}
	data, err := os.ReadFile(s.local("f"))
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("line\n", writers*each), string(data))
}

func TestDirectoryIsNoFile(t *testing.T) {
	s, files := open(t)
	require.NoError(t, os.Mkdir(s.local("dir"), 0o700))
	_, err := files.Read(t.Context(), "dir")
	require.ErrorContains(t, err, "read dir: is a directory")
	require.True(t, policy.IsPermanent(err))
}

func TestListsAreBounded(t *testing.T) {
	s := startSmbd(t)
	cfg := hasty()
	cfg.MaxList = 10
	l := &ledger{}
	files, err := OpenFiles(s.Server, cfg, l)
	require.NoError(t, err)
	defer closeFiles(files)
	require.NoError(t, os.Mkdir(s.local("dir"), 0o700))
	names, err := files.List(t.Context(), "dir")
	require.NoError(t, err)
	require.Empty(t, names)
	for n := range cfg.MaxList {
		require.NoError(t, os.WriteFile(s.local("dir/"+strconv.Itoa(9-n)), nil, 0o600))
	}
	names, err = files.List(t.Context(), "dir")
	require.NoError(t, err)
	require.Equal(t, strings.Split("0123456789", ""), names)
	require.NoError(t, os.WriteFile(s.local("dir/10"), nil, 0o600))
	_, err = files.List(t.Context(), "dir")
	require.ErrorIs(t, err, ErrTooLong)
	require.Zero(t, l.now().repeated)
}

func TestOpenFilesTellsAllThatIsWrong(t *testing.T) {
	cfg := Config{}
	cfg.Pool.MaxSize = -1
	cfg.Retry.MaxBackoff = -1
	cfg.Breaker.TrialShare = 2
	_, err := OpenFiles(Server{Address: "nowhere"}, cfg)
	for _, path := range []string{"server.address: ", "server.share: ", "pool.max_size: ", "retry.max_backoff: ", "breaker.trial_share: "} {
		require.ErrorContains(t, err, path)
	}
	files, err := OpenFiles(Server{Address: "127.0.0.1:1", Share: shareName}, Config{})
	require.NoError(t, err, "all has a default")
	closeFiles(files)
}
