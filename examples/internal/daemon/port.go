//go:build linux

package daemon

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
)

// Ports are below those that Linux gives to whoever asks for any, or connects: one of
// these might be somebody else's before the server listens, or while it restarts, who
// would then be taken for the server.
const (
	firstPort = 10_000
	lastPort  = 32_767
)

// given are the ports that this process knows to be somebody's.
var given sync.Map

// FreePort is a port of 127.0.0.1 that nobody listens at. It is given once.
func FreePort(t testing.TB) int {
	t.Helper()
	for range lastPort - firstPort {
		port := firstPort + rand.N(lastPort-firstPort+1)
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err == nil {
			_ = l.Close() // nobody has called
			return port
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatalf("no port for a server: %v", err)
		}
	}
	t.Fatalf("no port for a server: none from %d to %d is free", firstPort, lastPort)
	return 0
}
