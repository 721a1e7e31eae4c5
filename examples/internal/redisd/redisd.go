//go:build linux

package redisd

import (
	"strconv"
	"testing"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
)

// Program is the server.
var Program = daemon.Program{Name: "redis-server", Package: "redis-server"}

// Start starts a redis-server that keeps nothing, with more arguments of the
// caller's.
func Start(t testing.TB, more ...string) *daemon.Daemon {
	t.Helper()
	d := daemon.New(t, Program)
	d.Start(Arguments(d, more...)...)
	t.Cleanup(d.Kill) // it may be stopped, and then heeds no SIGTERM
	return d
}

// Arguments are those of Start.
func Arguments(d *daemon.Daemon, more ...string) []string {
	return append([]string{
		"--port", strconv.Itoa(d.Port), "--bind", "127.0.0.1", "--dir", d.Dir, "--save", "", "--appendonly", "no",
	}, more...)
}
