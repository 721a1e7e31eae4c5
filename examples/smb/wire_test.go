//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/pool"
)

// wire is between a client and smbd. Of the first connection it lets so many
// answers through, and then does something else; of later ones it lets all.
type wire struct {
	Server

	answers int
	then    func(client, server net.Conn)
	conns   atomic.Int64
	broken  atomic.Bool
}

var ways = []struct {
	name string
	then func(client, server net.Conn)
}{
	{"cut", func(client, _ net.Conn) { _ = client.Close() }},
	{"stalled", func(client, _ net.Conn) { _, _ = client.Read(make([]byte, 1)) }}, // until the client closes it
}

func newWire(t *testing.T, s *smbd, answers int, then func(client, server net.Conn)) *wire {
	t.Helper()
	w := &wire{Server: s.Server, answers: answers, then: then}
	w.Address = peer(t, func(client net.Conn) {
		server, err := net.Dial("tcp", s.Server.Address)
		if err != nil {
			return
		}
		defer server.Close()
		forwarded := make(chan struct{})
		go func() {
			defer close(forwarded)
			_, _ = io.Copy(server, client)
		}()
		if w.conns.Add(1) > 1 {
			_, _ = io.Copy(client, server)
		} else {
			w.carry(client, server)
		}
		client.Close()
		server.Close()
		<-forwarded
	}).Address
	return w
}

// carry carries answers, each with a header of four bytes that tells its length.
func (w *wire) carry(client, server net.Conn) {
	var header [4]byte
	for range w.answers {
		if _, err := io.ReadFull(server, header[:]); err != nil {
			return
		}
		if _, err := client.Write(header[:]); err != nil {
			return
		}
		if _, err := io.CopyN(client, server, int64(binary.BigEndian.Uint32(header[:]))); err != nil {
			return
		}
	}
	if _, err := server.Read(make([]byte, 1)); err != nil { // the answer that does not arrive
		return
	}
	w.broken.Store(true)
	w.then(client, server)
}

// steps runs test with a wire that breaks after no answer, after one, and so on, but
// for fewer than most.
func steps(t *testing.T, s *smbd, most int, then func(client, server net.Conn), test func(*wire)) {
	t.Helper()
	for answers := range most {
		broken := false
		for try := 0; try < 10 && !broken; try++ { // on a slow machine the time of a session is up before
			w := newWire(t, s, answers, then)
			test(w)
			broken = w.broken.Load()
		}
		require.True(t, broken, "it does not break after %d answers", answers)
	}
}

// one has a session made only when it is needed.
func one() Config {
	cfg := hasty()
	cfg.Pool = pool.Config{MaxSize: 1, MinIdle: -1, CreateTimeout: 500 * time.Millisecond}
	return cfg
}

func TestCreationIsBoundedAtEveryStep(t *testing.T) {
	t.Parallel()
	s := startSmbd(t)
	steps(t, s, 6+2, ways[1].then, func(w *wire) {
		ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
		defer cancel()
		var sh *Share
		err := returns(t, func() (err error) {
			sh, err = w.dial(ctx)
			return err
		})
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			return
		}
		_ = returns(t, sh.close) // goodbye takes two answers more
	})
}

// Wherever the session breaks, the file is what was written, and nothing else is
// left.
func TestWriteSurvivesAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			s := startSmbd(t)
			steps(t, s, 12+4, way.then, func(w *wire) { // the rest reads it
				require.NoError(t, os.WriteFile(s.local("f"), []byte("before"), 0o600))
				files, err := OpenFiles(w.Server, one())
				require.NoError(t, err)
				defer closeFiles(files)
				require.NoError(t, returns(t, func() error { return files.Write(t.Context(), "f", []byte("after")) }))
				data, err := files.Read(t.Context(), "f")
				require.NoError(t, err)
				require.Equal(t, "after", string(data))
				there, err := os.ReadDir(s.local(""))
				require.NoError(t, err)
				require.Len(t, there, 1, "%d answers: %v", w.answers, there)
			})
		})
	}
}

// Wherever the session breaks, the line is there once, or nobody knows.
func TestAppendAndRenameHappenOnceAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			s := startSmbd(t)
			steps(t, s, 16, way.then, func(w *wire) {
				require.NoError(t, os.WriteFile(s.local("f"), []byte("before\n"), 0o600))
				files, err := OpenFiles(w.Server, one())
				require.NoError(t, err)
				defer closeFiles(files)
				err = returns(t, func() error { return files.Append(t.Context(), "f", []byte("after\n")) })
				data, read := os.ReadFile(s.local("f"))
				require.NoError(t, read)
				lines := slices.Collect(strings.Lines(string(data)))
				requireOnce(t, err, len(lines)-1)

				err = returns(t, func() error { return files.Rename(t.Context(), "f", "g") })
				_, gone := os.Stat(s.local("g"))
				renamed := 0
				if gone == nil {
					renamed = 1
				}
				requireOnce(t, err, renamed)
				require.NoError(t, errorsOf(os.Remove(s.local("f")), os.Remove(s.local("g"))))
			})
		})
	}
}

// requireOnce: what succeeded was done once, what is unknown at most once.
func requireOnce(t *testing.T, err error, done int) {
	t.Helper()
	if err == nil {
		require.Equal(t, 1, done)
		return
	}
	_, unknown := errorAs[*UnknownError](err)
	require.True(t, unknown, err)
	require.LessOrEqual(t, done, 1)
}

// errorsOf is nil if one of two is.
func errorsOf(a, b error) error {
	if a == nil || b == nil {
		return nil
	}
	return a
}
