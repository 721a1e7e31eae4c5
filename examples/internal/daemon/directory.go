//go:build linux

package daemon

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// makeDir makes the server's directory. It is the server's user's, who must be able
// to get there.
func (d *Daemon) makeDir() {
	d.t.Helper()
	dir, err := os.MkdirTemp("", d.String()+"-")
	if err != nil {
		d.t.Fatalf("%s gets no directory: %v; set TMPDIR to a directory in which one may be made", d, err)
	}
	d.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d.Dir = dir
	d.give(dir)
	if closed := d.closed(dir); closed != "" {
		d.t.Fatalf("%s is to run in %s as the user %s, who may not enter %s; set TMPDIR to a directory that all may enter",
			d, dir, d.program.User, closed)
	}
}

// give makes a file that of the server's user.
func (d *Daemon) give(path string) {
	d.t.Helper()
	if d.as == nil {
		return
	}
	if err := os.Chown(path, int(d.as.Uid), int(d.as.Gid)); err != nil {
		d.t.Fatalf("%s does not get what is to be the user %s's: %v", d, d.program.User, err)
	}
}

// closed returns the first directory on the way to dir that the server's user may
// not enter, or "".
func (d *Daemon) closed(dir string) string {
	if d.as == nil || d.enters(dir) {
		return ""
	}
	if above := d.closed(filepath.Dir(dir)); above != "" {
		return above
	}
	return dir
}

func (d *Daemon) enters(dir string) bool {
	nothing := exec.Command("/bin/true") //nolint:noctx // it is over at once
	nothing.Dir, nothing.SysProcAttr = dir, &syscall.SysProcAttr{Credential: d.as}
	return !errors.Is(nothing.Run(), fs.ErrPermission)
}
