//go:build linux

package main

import (
	"context"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/cloudsoda/go-smb2"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

// soon is long enough for the slowest machine, and short enough to tell what is
// bounded from what hangs.
const soon = 20 * time.Second

// returns fails the test if f does not return soon. What it would leave behind
// holds a session or a server, so that the test ends there.
func returns(t *testing.T, f func() error) error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(soon):
		require.FailNow(t, "it hangs")
		return nil
	}
}

// A server that hangs is SIGCONTed only when all has returned: nothing waits for
// it to wake up.
func TestNothingWaitsForServerThatHangs(t *testing.T) {
	t.Parallel()
	s := startSmbd(t)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	checked, err := s.dial(ctx)
	require.NoError(t, err)
	closed, err := s.dial(ctx)
	require.NoError(t, err)
	s.pause()

	brief := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	require.ErrorIs(t, returns(t, func() error { _, err := s.dial(brief()); return err }), context.DeadlineExceeded)
	require.ErrorIs(t, returns(t, func() error { return checked.check(brief()) }), context.DeadlineExceeded)
	require.ErrorIs(t, returns(t, func() error { return checked.check(t.Context()) }), errBroken, "it is not asked again")
	require.NoError(t, returns(t, checked.close), "nobody is told goodbye who was cut off")
	require.ErrorIs(t, returns(t, closed.close), context.DeadlineExceeded)
}

// go-smb2 is told no context here: it is the connection that ends the call.
func TestClosedConnectionEndsCallThatHangs(t *testing.T) {
	s := startSmbd(t)
	sh, err := s.dial(t.Context())
	require.NoError(t, err)
	s.pause()
	asked, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- sh.within(t.Context(), func(context.Context) error {
			close(asked)
			_, err := sh.share.Stat("")
			return err
		})
	}()
	<-asked
	require.NoError(t, sh.close())
	err = returns(t, func() error { return <-ended })
	_, cut := errorAs[*smb2.TransportError](err)
	require.True(t, cut, err)
}

func TestPoolRecoversFromServerThatHangs(t *testing.T) {
	t.Parallel()
	s := startSmbd(t)
	cfg := hasty()
	cfg.Pool.CheckAfter = 1 // always
	files, err := OpenFiles(s.Server, cfg)
	require.NoError(t, err)
	defer closeFiles(files)
	require.NoError(t, files.Write(t.Context(), "f", []byte("before")))
	s.pause()
	for range 3 { // longer than all times of the pool
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		err = returns(t, func() error { return files.Write(ctx, "f", []byte("meanwhile")) })
		cancel()
		require.Error(t, err)
	}
	s.resume()
	require.NoError(t, returns(t, func() error { return files.Write(t.Context(), "f", []byte("after")) }))
	data, err := files.Read(t.Context(), "f")
	require.NoError(t, err)
	require.Equal(t, "after", string(data))
}

// peer is a server that is not Samba's: it does as it likes with whoever calls.
func peer(t *testing.T, serve func(net.Conn)) Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-ended
	})
	return Server{Address: l.Addr().String(), Share: shareName, User: "somebody", Password: password}
}

func TestPeerThatSpeaksNoSMB(t *testing.T) {
	t.Parallel()
	header := "\xfeSMB\x40\x00" // of a response, the rest of which is missing
	cases := []struct {
		name  string
		serve func(net.Conn)
	}{
		{"says nothing", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }},
		{"hangs up", func(net.Conn) {}},
		{"speaks HTTP", says("HTTP/1.1 400 Bad Request\r\n\r\n")},
		{"says a packet of nonsense", says("\x00\x00\x00\x10nonsense nonsense")},
		{"says an empty packet", says("\x00\x00\x00\x00")},
		{"stops in the middle of a packet", says("\x00\x00\x40\x00" + header)},
		{"says a header alone", says("\x00\x00\x00\x06" + header)},
		{"never stops talking", babbles},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := peer(t, c.serve)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			require.Error(t, returns(t, func() error { _, err := s.dial(ctx); return err }))

			cfg := hasty()
			cfg.Pool = pool.Config{MaxSize: 2, AcquireTimeout: 150 * time.Millisecond, CreateTimeout: 50 * time.Millisecond}
			cfg.Retry.MaxRetries = 2
			files, err := OpenFiles(s, cfg)
			require.NoError(t, err)
			defer closeFiles(files)
			err = returns(t, func() error { _, err := files.Read(t.Context(), "f"); return err })
			require.ErrorIs(t, err, policy.ErrMaxRetriesExceeded)
			require.ErrorIs(t, err, policy.ErrConnectionCreation)
		})
	}
}

// says answers once, and then no more.
func says(answer string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, answer)
		_, _ = io.Copy(io.Discard, c)
	}
}

func babbles(c net.Conn) {
	for packet := "\x00\x00\x00\x40\xfeSMB" + string(make([]byte, 60)); ; {
		if _, err := io.WriteString(c, packet); err != nil {
			return
		}
	}
}

func TestContextThatHasEndedAsksNobody(t *testing.T) {
	s := startSmbd(t)
	l := &ledger{}
	files, err := OpenFiles(s.Server, hasty(), l)
	require.NoError(t, err)
	defer closeFiles(files)
	require.NoError(t, files.Write(t.Context(), "f", []byte("before")))

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
	defer cancel()
	require.ErrorIs(t, files.Write(ended, "f", []byte("after")), context.Canceled)
	require.ErrorIs(t, files.Append(expired, "f", []byte("after")), context.DeadlineExceeded)
	_, err = files.Read(expired, "f")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, files.Rename(ended, "f", "g"), context.Canceled)
	_, err = s.dial(expired)
	require.Error(t, err)

	require.Zero(t, l.now().repeated)
	data, err := os.ReadFile(s.local("f"))
	require.NoError(t, err)
	require.Equal(t, "before", string(data))
}
