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

// Find returns the path of the binary, for what is no server and ends with its
// user. Where there is none it ends the test, as [New] does.
func (p Program) Find(t testing.TB) string {
	t.Helper()
	binary, absent := p.look(t)
	if absent == "" {
		return binary
	}
	if os.Getenv("CI") == "" {
		t.Skip(absent)
	}
	t.Fatal(absent)
	return ""
}

// look returns the path of the binary, or says how to get one. One that is named
// wrongly ends the test: somebody wanted it to run.
func (p Program) look(t testing.TB) (binary, absent string) {
	t.Helper()
	if p.Variable == "" {
		binary, err := lookPath(p.Name)
		if err != nil {
			return "", notHere(p.Name, p.Package)
		}
		return binary, ""
	}
	named := os.Getenv(p.Variable)
	if named == "" {
		return "", fmt.Sprintf("no %s here: set %s to its binary. %s", p.Name, p.Variable, p.Build)
	}
	binary, err := exec.LookPath(named)
	if err != nil {
		t.Fatalf("%s: %v", p.Variable, err)
	}
	return binary, ""
}

func notHere(name, in string) string { return fmt.Sprintf("no %s here: apt-get install %s", name, in) }

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
	if err != nil {
		t.Fatalf("%s is to run as the user %s: %v", p.Name, p.User, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	require.NoError(t, err) // they are numbers on every Linux
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	require.NoError(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
