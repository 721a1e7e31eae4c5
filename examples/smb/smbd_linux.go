package main

import (
	"fmt"
	"os/user"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
)

// Whoever runs smbd may only give files to itself, so that is who the share's
// user is.
const (
	shareName = "files"
	password  = "correct horse"
)

// configuration of a server that knows nobody but its one user, and keeps all of
// its state in one directory.
const configuration = `[global]
	server role = standalone server
	smb ports = %[2]d
	server min protocol = SMB2
	interfaces = 127.0.0.1
	bind interfaces only = yes
	disable netbios = yes
	disable spoolss = yes
	load printers = no
	printcap name = /dev/null
	map to guest = never
	passdb backend = tdbsam:%[1]s/private/passdb.tdb
	private dir = %[1]s/private
	state directory = %[1]s/state
	cache directory = %[1]s/cache
	lock directory = %[1]s/lock
	pid directory = %[1]s/pid
	ncalrpc dir = %[1]s/ncalrpc
	log file = %[1]s/log/smbd
	logging = file
	log level = 1
[%[3]s]
	path = %[1]s/share
	read only = no
`

// smbd is Samba's file server.
type smbd struct {
	*daemon.Daemon
	Server

	configfile string // flag of all of Samba's programs
}

// startSmbd starts Debian's smbd on a port and in a directory of its own. It ends
// with the test.
func startSmbd(t testing.TB) *smbd {
	t.Helper()
	d := daemon.New(t, daemon.Program{Name: "smbd", Package: "samba"})
	d.Run("mkdir", "private", "state", "cache", "lock", "pid", "ncalrpc", "log", "share")
	conf := d.File("smb.conf", fmt.Sprintf(configuration, d.Dir, d.Port, shareName))
	me, err := user.Current()
	require.NoError(t, err)
	s := &smbd{
		Daemon:     d,
		Server:     Server{Address: d.Address(), Share: shareName, User: me.Username, Password: password},
		configfile: "--configfile=" + conf,
	}
	s.setPassword(password)
	t.Cleanup(s.kill) // its children, which may be paused, would write into the directory while that is removed
	s.revive()
	return s
}

// setPassword makes the user, or gives it another password. Sessions stay.
func (s *smbd) setPassword(password string) {
	typed := strings.Repeat(password+`\n`, 2)
	s.Run("sh", "-c", fmt.Sprintf("printf '%s' | pdbedit %s --create --password-from-stdin --user=%s", typed, s.configfile, s.User))
}

// kill ends the server and all of its children without a word.
func (s *smbd) kill() { s.Kill() }

// revive starts the server, also anew after it was killed.
func (s *smbd) revive() { s.Start("--foreground", "--no-process-group", s.configfile) }

// pause makes the server hang: connections are accepted, by the kernel, and
// nothing is answered.
func (s *smbd) pause() { s.SignalAll(syscall.SIGSTOP) }

func (s *smbd) resume() { s.SignalAll(syscall.SIGCONT) }

// closeShare ends all that the share was mounted for. Who goes on is told that
// the network name was deleted.
func (s *smbd) closeShare() {
	s.Run("smbcontrol", s.configfile, "smbd", "close-share", s.Share)
}

// local is where a file of the share is on this machine.
func (s *smbd) local(name string) string { return s.Dir + "/share/" + name }
