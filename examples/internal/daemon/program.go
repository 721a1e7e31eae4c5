//go:build linux

package daemon

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// places are where Debian puts what is not in everybody's PATH.
var places = []string{"/usr/sbin", "/usr/lib/postgresql/*/bin"}

// find returns the path of the binary, or ends the test.
func (p Program) find(t testing.TB) string {
	t.Helper()
	binary, err := lookPath(p.Name)
	if err == nil {
		return binary
	}
	absent := fmt.Sprintf("no %s here: apt-get install %s", p.Name, p.Package)
	if os.Getenv("CI") == "" {
		t.Skip(absent)
	}
	t.Fatal(absent)
	return ""
}

// lookPath is [exec.LookPath] with more places; of several versions it takes the
// last.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, place := range places {
		there, _ := filepath.Glob(filepath.Join(place, name))
		for _, candidate := range there {
			if found, e := exec.LookPath(candidate); e == nil {
				path, err = found, nil
			}
		}
	}
	return path, err
}

// credential is that of the program's user, where there is a choice.
func (p Program) credential(t testing.TB) *syscall.Credential {
	t.Helper()
	if p.User == "" || os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(p.User)
	require.NoError(t, err)
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	require.NoError(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
