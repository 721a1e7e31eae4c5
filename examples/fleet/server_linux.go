package main

import (
	"strconv"
	"testing"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
)

var redisProgram = daemon.Program{Name: "redis-server", Package: "redis-server"}

// startRedis starts a redis-server that keeps nothing, with more arguments of the
// caller's.
func startRedis(t testing.TB, more ...string) *daemon.Daemon {
	t.Helper()
	d := daemon.New(t, redisProgram)
	d.Start(redisArguments(d, more...)...)
	t.Cleanup(d.Kill) // it may be stopped, and then heeds no SIGTERM
	return d
}

func redisArguments(d *daemon.Daemon, more ...string) []string {
	return append([]string{
		"--port", strconv.Itoa(d.Port), "--bind", "127.0.0.1", "--dir", d.Dir, "--save", "", "--appendonly", "no",
	}, more...)
}
