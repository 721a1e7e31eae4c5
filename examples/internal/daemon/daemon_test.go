//go:build linux

package daemon_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
)

// TestMain is also the server that the tests start: this very binary.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		serve(os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}

// serve tells everybody its process, until SIGTERM; SIGUSR1 it tells its log.
func serve(address string) {
	ask := make(chan os.Signal, 1)
	signal.Notify(ask, syscall.SIGTERM, syscall.SIGUSR1)
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, os.Getpid())
			conn.Close()
		}
	}()
	for s := range ask {
		fmt.Println("got", s, os.Getenv("DAEMON_TEST_SAYS"))
		if s == syscall.SIGTERM {
			return
		}
	}
}

func thisBinary(t *testing.T) daemon.Program {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return daemon.Program{Name: path}
}

func TestServerAnswersOnceItIsStarted(t *testing.T) {
	d := daemon.New(t, thisBinary(t))
	d.Start("serve", d.Address())
	require.NotEmpty(t, said(t, d))
}

func TestServerThatIsRestartedIsAnother(t *testing.T) {
	d := daemon.New(t, thisBinary(t))
	d.Start("serve", d.Address())
	before := said(t, d)
	d.Restart()
	require.NotEqual(t, before, said(t, d))
	require.Contains(t, d.Log(), "got terminated")
}

func TestServerThatIsKilledHasNoTimeToSayAnything(t *testing.T) {
	d := daemon.New(t, thisBinary(t))
	d.Start("serve", d.Address())
	d.Kill()
	_, err := net.Dial("tcp", d.Address())
	require.Error(t, err)
	require.Empty(t, d.Log())
}

func TestSignalReachesTheServer(t *testing.T) {
	d := daemon.New(t, thisBinary(t))
	d.Start("serve", d.Address())
	d.Signal(syscall.SIGUSR1)
	require.Eventually(t, func() bool { return d.Log() == "got user defined signal 1 \n" }, 10*time.Second, 5*time.Millisecond)
}

func TestServerAndItsDirectoryAreGoneWithTheTest(t *testing.T) {
	var dir, address string
	t.Run("test", func(t *testing.T) {
		d := daemon.New(t, thisBinary(t))
		dir, address = d.Dir, d.Address()
		require.FileExists(t, d.File("conf", "x"))
		d.Start("serve", address)
	})
	require.NoDirExists(t, dir)
	_, err := net.Dial("tcp", address)
	require.Error(t, err)
}

func TestToolRunsInTheDirectory(t *testing.T) {
	d := daemon.New(t, thisBinary(t))
	d.Run("touch", "here")
	require.FileExists(t, filepath.Join(d.Dir, "here"))
}

func TestServerRunsAsTheUserItAsksFor(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has a choice")
	}
	d := daemon.New(t, daemon.Program{Name: "true", User: "nobody"})
	d.Run("touch", "mine")
	owner, err := exec.Command("stat", "-c", "%U", filepath.Join(d.Dir, "mine")).Output()
	require.NoError(t, err)
	require.Equal(t, "nobody\n", string(owner))
}

func TestServerThatEndsAtOnceFailsTheTestWithItsLog(t *testing.T) {
	f := &fake{TB: t}
	f.run(func() {
		d := daemon.New(f, thisBinary(t))
		d.Start("serve", "nowhere")
	})
	require.True(t, f.failed)
	require.Contains(t, f.said, "ended before it answered")
	require.Contains(t, f.said, "missing port in address")
}

func TestMissingServerSkipsTheTest(t *testing.T) {
	t.Setenv("CI", "")
	f := &fake{TB: t}
	f.run(func() { daemon.New(f, daemon.Program{Name: "no-such-server", Package: "no-such-package"}) })
	require.False(t, f.failed)
	require.Equal(t, "no no-such-server here: apt-get install no-such-package", f.said)
}

func TestMissingServerFailsTheTestOnCI(t *testing.T) {
	t.Setenv("CI", "true")
	f := &fake{TB: t}
	f.run(func() { daemon.New(f, daemon.Program{Name: "no-such-server", Package: "no-such-package"}) })
	require.True(t, f.failed)
	require.Equal(t, "no no-such-server here: apt-get install no-such-package", f.said)
}

func TestServerGetsItsEnvironment(t *testing.T) {
	program := thisBinary(t)
	program.Env = []string{"DAEMON_TEST_SAYS=hello"}
	d := daemon.New(t, program)
	d.Start("serve", d.Address())
	d.Stop()
	require.Contains(t, d.Log(), "got terminated hello")
}

func TestServerMayBeNamedByTheEnvironment(t *testing.T) {
	program := daemon.Program{Name: "no-such-server", Variable: "DAEMON_TEST_BIN", Build: "Build it."}
	t.Setenv("DAEMON_TEST_BIN", thisBinary(t).Name)
	d := daemon.New(t, program)
	d.Start("serve", d.Address())
	require.NotEmpty(t, said(t, d))

	for _, c := range []struct {
		named, ci, said string
		failed          bool
	}{
		{"", "", "no no-such-server here: set DAEMON_TEST_BIN to its binary. Build it.", false},
		{"", "true", "no no-such-server here: set DAEMON_TEST_BIN to its binary. Build it.", true},
		{"/no/such/binary", "", "DAEMON_TEST_BIN: ", true},
	} {
		t.Setenv("DAEMON_TEST_BIN", c.named)
		t.Setenv("CI", c.ci)
		f := &fake{TB: t}
		f.run(func() { daemon.New(f, program) })
		require.Equal(t, c.failed, f.failed)
		require.Contains(t, f.said, c.said)
	}
}

func said(t *testing.T, d *daemon.Daemon) string {
	t.Helper()
	conn, err := net.Dial("tcp", d.Address())
	require.NoError(t, err)
	defer conn.Close()
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	return string(text)
}

// fake is a test that may fail.
type fake struct {
	testing.TB

	said     string
	failed   bool
	cleanups []func()
}

// run runs a test to its end, its cleanups included.
func (f *fake) run(test func()) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		test()
	}()
	<-over
	for len(f.cleanups) > 0 {
		last := len(f.cleanups) - 1
		cleanup := f.cleanups[last]
		f.cleanups = f.cleanups[:last]
		cleanup()
	}
}

func (f *fake) Cleanup(cleanup func())            { f.cleanups = append(f.cleanups, cleanup) }
func (f *fake) Failed() bool                      { return f.failed }
func (f *fake) Logf(format string, args ...any)   { f.said += fmt.Sprintf(format, args...) }
func (f *fake) Errorf(format string, args ...any) { f.failed = true; f.Logf(format, args...) }
func (f *fake) Fatalf(format string, args ...any) { f.Errorf(format, args...); f.FailNow() }
func (f *fake) FailNow()                          { f.failed = true; runtime.Goexit() }

func (f *fake) Skip(args ...any) {
	f.said += fmt.Sprint(args...)
	runtime.Goexit()
}

func (f *fake) Fatal(args ...any) {
	f.said += fmt.Sprint(args...)
	f.FailNow()
}
