//go:build linux

package daemon_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
)

// A server that restarts gets its port back, whoever connects to something meanwhile.
func TestPortIsNobodyElses(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	require.NoError(t, err)
	var low, high int
	_, err = fmt.Sscan(string(text), &low, &high)
	require.NoError(t, err)
	given := map[int]bool{}
	for range 1000 {
		port := daemon.FreePort(t)
		require.False(t, given[port])
		given[port] = true
		require.False(t, port >= low && port <= high, port)
	}
}
