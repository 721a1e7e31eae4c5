//go:build linux

package daemon_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
)

func TestProgramStartsServerAlone(t *testing.T) {
	var dir, address string
	require.NoError(t, daemon.Alone(t.Context(), func(alone testing.TB) {
		d := daemon.New(alone, thisBinary(t))
		dir, address = d.Dir, d.Address()
		d.Start("serve", address)
		require.NotEmpty(t, said(t, d))
	}))
	require.NoDirExists(t, dir)
	_, err := net.Dial("tcp", address)
	require.Error(t, err)
}

func TestProgramIsToldWhatIsWrong(t *testing.T) {
	for _, ci := range []string{"", "true"} {
		t.Setenv("CI", ci)
		err := daemon.Alone(t.Context(), func(alone testing.TB) {
			daemon.New(alone, daemon.Program{Name: "no-such-server", Package: "no-such-package"})
		})
		require.EqualError(t, err, "no no-such-server here: apt-get install no-such-package")
	}
	var dir, address string
	err := daemon.Alone(t.Context(), func(alone testing.TB) {
		d := daemon.New(alone, thisBinary(t))
		dir, address = d.Dir, d.Address()
		d.Start("serve", "nowhere")
	})
	require.EqualError(t, err, filepath.Base(os.Args[0])+" ended before it answered at "+address+"; it said:\nlisten tcp: address nowhere: missing port in address\n")
	require.NoDirExists(t, dir)
}

// It has no use for where in the source something failed.
func TestProgramIsToldWhatIsWrongInPlainWords(t *testing.T) {
	dir := t.TempDir()
	notToRun := filepath.Join(dir, "not-to-run")
	require.NoError(t, os.WriteFile(notToRun, []byte("\x7fELF"), 0o700)) //nolint:gosec // it looks like a program
	shell := daemon.Program{Name: "sh", Package: "dash"}
	for name, c := range map[string]struct {
		tmp  string
		does func(testing.TB)
		told string
	}{
		"no TMPDIR": {
			"/nonexistent", func(t testing.TB) { daemon.New(t, shell) },
			`^sh gets no directory: stat /nonexistent: no such file or directory; set TMPDIR to a directory in which one may be made$`,
		},
		"missing tool": {
			dir, func(t testing.TB) { daemon.New(t, shell).Run("no-such-tool") },
			`^no no-such-tool here: apt-get install dash$`,
		},
		"tool that fails": {
			dir, func(t testing.TB) { daemon.New(t, shell).Run("sh", "-c", "echo why; exit 3") },
			`^sh, which sh needs, failed: exit status 3\nwhy\n$`,
		},
		"file in no directory": {
			dir, func(t testing.TB) { daemon.New(t, shell).File("no/file", "") },
			`^sh gets no file: open ` + dir + `/sh-\d+/no/file: no such file or directory$`,
		},
		"not a program": {
			dir, func(t testing.TB) { daemon.New(t, daemon.Program{Name: notToRun}).Start() },
			`^not-to-run cannot be started: fork/exec ` + notToRun + `: exec format error$`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", c.tmp)
			err := daemon.Alone(t.Context(), c.does)
			require.Error(t, err)
			require.Regexp(t, c.told, err.Error())
		})
	}
}

func TestServerThatMayNotEnterItsDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has servers run as others")
	}
	above := t.TempDir()
	for dir := above; dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // which is the point
	}
	closed := filepath.Join(above, "closed")
	require.NoError(t, os.MkdirAll(filepath.Join(closed, "below"), 0o700))
	require.NoError(t, os.Chmod(filepath.Join(closed, "below"), 0o755)) //nolint:gosec // this one is open
	t.Setenv("TMPDIR", filepath.Join(closed, "below"))
	err := daemon.Alone(t.Context(), func(alone testing.TB) {
		daemon.New(alone, daemon.Program{Name: "true", User: "nobody"})
	})
	require.Error(t, err)
	require.Regexp(t, `^true is to run in `+closed+`/below/true-\d+ as the user nobody, who may not enter `+closed+
		`; set TMPDIR to a directory that all may enter$`, err.Error())
	there, err := os.ReadDir(filepath.Join(closed, "below"))
	require.NoError(t, err)
	require.Empty(t, there)
	err = daemon.Alone(t.Context(), func(alone testing.TB) {
		daemon.New(alone, daemon.Program{Name: "true", User: "no-such-user"})
	})
	require.EqualError(t, err, "true is to run as the user no-such-user: user: unknown user no-such-user")
}

// What fails then is the interruption's doing.
func TestProgramThatWasInterruptedIsToldNothingElse(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	err := daemon.Alone(ctx, func(alone testing.TB) {
		d := daemon.New(alone, thisBinary(t))
		cancel(interrupted)
		d.Start("serve", d.Address())
		alone.Errorf("a consequence")
		daemon.New(alone, thisBinary(t))
		t.Error("another server is started")
	})
	require.ErrorIs(t, err, interrupted)
	require.EqualError(t, err, "interrupted")

	ctx, cancel = context.WithCancelCause(t.Context())
	err = daemon.Alone(ctx, func(alone testing.TB) {
		alone.Errorf("it failed before")
		cancel(interrupted)
		alone.Errorf("a consequence")
	})
	require.EqualError(t, err, "it failed before\ninterrupted")
}

func TestSignalReachesChildrenToo(t *testing.T) {
	d := daemon.New(t, daemon.Program{Name: "sh"})
	script := d.File("parent.sh", os.Args[0]+" serve "+d.Address()+" & wait; wait")
	d.Start(script)
	d.SignalAll(10) // SIGUSR1, of which the shell dies
	require.Eventually(t, func() bool { return d.Log() == "got user defined signal 1 \n" }, 10*time.Second, 5*time.Millisecond)
	d.Kill()
}
