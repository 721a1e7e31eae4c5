//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// through opens the share by way of a relay.
func through(t *testing.T, s Server, observers ...*ledger) *Files {
	t.Helper()
	l := &ledger{}
	if len(observers) > 0 {
		l = observers[0]
	}
	files, err := OpenFiles(s, one(), l)
	require.NoError(t, err)
	t.Cleanup(func() { closeFiles(files) })
	return files
}

func requireThere(t *testing.T, s *smbd, names ...string) {
	t.Helper()
	there, err := os.ReadDir(s.local(""))
	require.NoError(t, err)
	found := []string{}
	for _, e := range there {
		found = append(found, e.Name())
	}
	require.Equal(t, names, found)
}

// A directory has the name that the file is to take.
func TestWriteThatFailsLeavesNothing(t *testing.T) {
	s, files := open(t)
	require.NoError(t, os.Mkdir(s.local("f"), 0o700))
	require.ErrorIs(t, files.Write(t.Context(), "f", []byte("data")), os.ErrExist)
	require.NoError(t, files.Close(t.Context()))
	requireThere(t, s, "f")
}

// Who leaves is not kept, and what was half written for him is removed.
func TestWriteWhoseCallerLeavesLeavesNothing(t *testing.T) {
	s := startSmbd(t)
	require.NoError(t, os.WriteFile(s.local("f"), []byte("before"), 0o600))
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan struct{})
	var once sync.Once
	files := through(t, relay(t, s, unseen, func(p packet) {
		if p.command() == smbWrite {
			once.Do(func() { leave(); <-gone })
		}
	}))
	require.ErrorIs(t, returns(t, func() error { return files.Write(ctx, "f", []byte("after")) }), context.Canceled)
	close(gone)
	require.NoError(t, files.Close(t.Context()))
	requireThere(t, s, "f")
	data, err := os.ReadFile(s.local("f"))
	require.NoError(t, err)
	require.Equal(t, "before", string(data))
}

// The caller is told that nobody knows. What was written for him is removed, so
// that a server that goes on later finds nothing to rename.
func TestWriteOfUnknownFateLeavesNothing(t *testing.T) {
	s := startSmbd(t)
	require.NoError(t, os.WriteFile(s.local("f"), []byte("before"), 0o600))
	ctx, leave := context.WithCancel(t.Context())
	gone, late := make(chan struct{}), make(chan struct{}, 1)
	var opened atomic.Int64
	files := through(t, relay(t, s, func(p packet) {
		if p.deletes() && opened.Add(1) == 1 { // the rename's
			leave()
			<-gone
		}
	}, func(packet) {
		select {
		case <-gone:
			late <- struct{}{}
		default:
		}
	}))
	err := returns(t, func() error { return files.Write(ctx, "f", []byte("after")) })
	require.ErrorIs(t, err, context.Canceled)
	_, unknown := errorAs[*UnknownError](err)
	require.True(t, unknown, err)
	require.NoError(t, files.Close(t.Context()))
	requireThere(t, s, "f")
	close(gone)
	<-late
	data, err := os.ReadFile(s.local("f"))
	require.NoError(t, err)
	require.Equal(t, "before", string(data))
}

// A rename on its way has opened the file, which is held then although it was
// removed. No other try succeeds before that is over: it would be undone.
func TestLateRenameUndoesNothing(t *testing.T) {
	s := startSmbd(t)
	l := &ledger{}
	held, goOn := make(chan struct{}), make(chan struct{})
	var renames atomic.Int64
	files := through(t, relay(t, s, func(p packet) {
		if p.renames() && renames.Add(1) == 1 {
			close(held)
			<-goOn
		}
	}, unseen), l)
	first := make(chan error, 1)
	go func() { first <- files.Write(t.Context(), "f", []byte("first")) }()
	<-held
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	require.NoError(t, l.await(ctx, tally{}, tally{repeated: 3}))
	require.Empty(t, first)
	close(goOn)
	require.NoError(t, returns(t, func() error { return <-first }))
	require.NoError(t, files.Write(t.Context(), "f", []byte("second")))
	require.NoError(t, files.Close(t.Context()))
	requireThere(t, s, "f")
	data, err := os.ReadFile(s.local("f"))
	require.NoError(t, err)
	require.Equal(t, "second", string(data))
}

func TestWhatIsGoneIsNotRemovedAgain(t *testing.T) {
	s := startSmbd(t)
	const refused = 5
	var written, deleted atomic.Int64
	files := through(t, relay(t, s, func(p packet) {
		if p.deletes() {
			deleted.Add(1)
		}
	}, func(p packet) {
		if p.command() == smbWrite && written.Add(1) <= refused {
			p.refuse(statusSharingViolation)
		}
	}))
	require.NoError(t, files.Write(t.Context(), "f", []byte("data")))
	require.NoError(t, files.Close(t.Context()))
	require.EqualValues(t, refused+1, deleted.Load(), "each once, and the rename")
	requireThere(t, s, "f")
}

// What is under way when all is closed may still fail.
func TestCloseWaitsForWhatCallsLeaveBehind(t *testing.T) {
	s := startSmbd(t)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	written := make(chan struct{})
	var once sync.Once
	files := through(t, relay(t, s, unseen, func(p packet) {
		if p.command() == smbWrite {
			once.Do(func() { close(written); <-ctx.Done() })
		}
	}))
	wrote, closed := make(chan error, 1), make(chan error, 1)
	go func() { wrote <- files.Write(ctx, "f", []byte("data")) }()
	<-written
	go func() { closed <- files.Close(t.Context()) }()
	require.Eventually(t, func() bool {
		return errors.Is(files.Write(ctx, "g/h", nil), policy.ErrClosed)
	}, soon, time.Millisecond)
	require.Empty(t, closed)
	leave()
	require.ErrorIs(t, returns(t, func() error { return <-wrote }), context.Canceled)
	require.NoError(t, returns(t, func() error { return <-closed }))
	requireThere(t, s, []string{}...)
}

// The first of what is left may not be removed for good, the second for now.
func TestWhatStaysKeepsNothingElse(t *testing.T) {
	s := startSmbd(t)
	require.NoError(t, os.Mkdir(s.local("full"), 0o700))
	require.NoError(t, os.WriteFile(s.local("full/f"), nil, 0o600))
	require.NoError(t, os.WriteFile(s.local("held"), nil, 0o600))
	var name atomic.Value
	var refused atomic.Int64
	files := through(t, relay(t, s, func(p packet) {
		if p.command() == smbCreate {
			name.Store(p.name())
		}
	}, func(p packet) {
		if p.command() == smbCreate && name.Load() == "held" && refused.Add(1) <= 2 {
			p.refuse(statusSharingViolation)
		}
	}))
	require.True(t, files.litter.begin())
	files.litter.end([]attempt{{temp: "full"}, {temp: "held"}})
	require.NoError(t, files.Close(t.Context()))
	requireThere(t, s, "full")
	require.EqualValues(t, 3, refused.Load())
}

// leave has a call leave something behind.
func (l *litter) leave(t *testing.T, temps ...string) (left []attempt) {
	t.Helper()
	require.True(t, l.begin())
	for _, temp := range temps {
		left = append(left, attempt{temp: temp})
	}
	l.end(left)
	return left
}

func TestLitterIsRemovedByOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var removed []attempt // not guarded: -race finds a second goroutine
		l := newLitter(func(_ context.Context, left []attempt) {
			time.Sleep(time.Second)
			removed = append(removed, left...)
		})
		l.leave(t)
		var want []attempt
		for range 3 {
			for _, temp := range []string{"a", "b", "c"} {
				want = append(want, l.leave(t, temp)...)
			}
			time.Sleep(10 * time.Second) // it is gone, and comes back
		}
		require.True(t, l.begin())
		go func() {
			time.Sleep(time.Minute)
			l.end([]attempt{{temp: "last"}})
		}()
		began := time.Now()
		l.close(t.Context())
		require.Equal(t, time.Minute+time.Second, time.Since(began))
		l.close(t.Context())
		require.False(t, l.begin(), "too late")
		synctest.Wait()
		require.Equal(t, append(want, attempt{temp: "last"}), removed)
	})
}

func TestRemovalOfLitterIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		untilCut := func(ctx context.Context, _ []attempt) { <-ctx.Done() }
		l := newLitter(untilCut)
		began := time.Now()
		l.leave(t, "a")
		l.close(t.Context())
		require.Equal(t, sweepTime, time.Since(began))

		for _, writing := range []bool{false, true} {
			l = newLitter(untilCut)
			began = time.Now()
			l.leave(t, "a")
			require.True(t, l.begin())
			if !writing {
				l.end(nil)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			l.close(ctx)
			cancel()
			require.Equal(t, time.Second, time.Since(began))
			if writing {
				l.end([]attempt{{temp: "too late"}})
				require.Nil(t, l.over)
			}
		}
	})
}
