//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cloudsoda/go-smb2"
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

// The session is a guest's before it is one that signs, or a share is to be asked for
// encrypted in a dialect that cannot: go-smb2 has no keys for that.
func TestServerThatLiesAboutKeys(t *testing.T) {
	s := startSmbd(t)
	requireNonsense := func(lie func(packet)) {
		t.Helper()
		_, err := relay(t, s, unseen, lie).dial(t.Context())
		nonsense, ok := errorAs[*smb2.InvalidResponseError](err)
		require.True(t, ok, err)
		require.Contains(t, nonsense.Message, "nil pointer dereference")
		require.True(t, policy.IsTransient(err))
	}
	answers := 0
	requireNonsense(func(p packet) {
		if p.command() == smbSession {
			answers++
			p.setGuest(byte(answers % 2))
		}
	})
	s.kill()
	s.File("smb.conf", fmt.Sprintf(configuration, s.Dir, s.Port, shareName)+"[global]\nserver max protocol = SMB2_10\n")
	s.revive()
	requireNonsense(func(p packet) {
		if p.command() == smbTree {
			p.setEncrypted()
		}
	})
}

// What the caller's own function breaks is not the server's, and is not repeated.
func TestPanicOfCallerIsTheCallers(t *testing.T) {
	for name, cause := range map[string]func(){
		"bounds": func() { _ = make([]int, 1)[len(os.Args)+1] },
		"nil":    func() { var none *Config; none.Try++ },
		"a word": func() { panic("word") },
	} {
		t.Run(name, func(t *testing.T) {
			s := startSmbd(t)
			l := &ledger{}
			files := through(t, s.Server, l)
			require.NoError(t, files.Write(t.Context(), "f", []byte("data")))
			want := recovered(cause)
			require.NotNil(t, want)
			calls := 0
			got := recovered(func() {
				_, _ = call(t.Context(), files, func(ctx context.Context) (none struct{}, err error) {
					return none, files.lend(ctx, func(share *smb2.Share) error {
						calls++
						cause()
						return nil
					})
				})
			})
			require.Equal(t, want, got)
			require.Equal(t, 1, calls)
			require.Zero(t, l.now().repeated)
			require.Equal(t, policy.Closed, files.breaker.State())
			data, err := files.Read(t.Context(), "f")
			require.NoError(t, err)
			require.Equal(t, "data", string(data))
			require.EqualValues(t, 2, files.pool.Stats().Creates, "what he was in the middle of is not lent again")
		})
	}
}

func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
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

// The first part is there when the second is refused, as if the file were not open.
func TestAppendThatIsHalfThereIsNotRepeated(t *testing.T) {
	s := startSmbd(t)
	var written atomic.Int64
	files := through(t, relay(t, s, unseen, func(p packet) {
		if p.command() == smbWrite && written.Add(1) == 2 {
			p.refuse(statusSharingViolation)
		}
	}))
	require.NoError(t, os.WriteFile(s.local("f"), nil, 0o600))
	require.Error(t, files.Append(t.Context(), "f", make([]byte, 2<<20)))
	require.EqualValues(t, 2, written.Load())
}

// Somebody else has a file open, so that it is tried again and again.
func TestAppendThatWaitsHoldsUpNoOther(t *testing.T) {
	s := startSmbd(t)
	l := &ledger{}
	var held, asked atomic.Bool
	held.Store(true)
	files := through(t, relay(t, s, func(p packet) {
		if p.command() == smbCreate {
			asked.Store(p.name() == "held")
		}
	}, func(p packet) {
		if p.command() == smbCreate && held.Load() && asked.Load() {
			p.refuse(statusSharingViolation)
		}
	}), l)
	for _, name := range []string{"held", "free"} {
		require.NoError(t, os.WriteFile(s.local(name), nil, 0o600))
	}
	waits := make(chan error, 1)
	go func() { waits <- files.Append(t.Context(), "held", []byte("held")) }()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	require.NoError(t, l.await(ctx, tally{}, tally{repeated: 2}))
	for range 20 {
		require.NoError(t, files.Append(ctx, "free", []byte("line")))
	}
	require.Empty(t, waits)
	held.Store(false)
	require.NoError(t, returns(t, func() error { return <-waits }))
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
