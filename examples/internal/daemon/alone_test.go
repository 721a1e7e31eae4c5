//go:build linux

package daemon_test

import (
	"net"
	"os"
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
	var dir string
	err := daemon.Alone(t.Context(), func(alone testing.TB) {
		d := daemon.New(alone, thisBinary(t))
		dir = d.Dir
		d.Start("serve", "nowhere")
	})
	require.ErrorContains(t, err, "ended before it answered")
	require.ErrorContains(t, err, "missing port in address")
	require.NoDirExists(t, dir)
}

func TestSignalReachesChildrenToo(t *testing.T) {
	d := daemon.New(t, daemon.Program{Name: "sh"})
	script := d.File("parent.sh", os.Args[0]+" serve "+d.Address()+" & wait; wait")
	d.Start(script)
	d.SignalAll(10) // SIGUSR1, of which the shell dies
	require.Eventually(t, func() bool { return d.Log() == "got user defined signal 1 \n" }, 10*time.Second, 5*time.Millisecond)
	d.Kill()
}
