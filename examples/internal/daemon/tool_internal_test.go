//go:build linux

package daemon

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What it began is killed with it, or its output would never end.
func TestToolThatHangsIsKilledWithItsChildren(t *testing.T) {
	tool := exec.CommandContext(t.Context(), "sh", "-c", "echo begun; sleep 3600 & wait")
	tool.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said, err := toEnd(tool, 2*time.Second)
	require.ErrorContains(t, err, "it hung for 2s: signal: killed")
	require.Equal(t, "begun\n", string(said))
}
