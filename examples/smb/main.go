// Smb has a pool of SMB sessions, each with its mounted share, and reads and
// writes files over it while the server is killed and restarted, while it hangs
// and while its administrator closes the share: no call is lost that may be
// repeated, and no call waits longer than its context lives.
//
//	apt-get install samba
//	go -C examples run ./smb
//
// It starts a smbd of its own on a free port of loopback, with all of its files
// in a directory that is gone afterwards, and ends by itself.
//
// To copy from:
//
//   - share.go, what the pool lends: how a session is made, checked and closed in
//     bounded time although go-smb2 may wait for a server for ever
//   - transient.go, which errors may pass, by their types and status codes
//   - files.go, the pool with retries, a circuit breaker and a timeout around it
//   - write.go, what may be repeated of what changes files, and what may not
//   - litter.go, how what failed writes leave behind is removed
//   - names.go, which names are not sent, since another file might be meant
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "smb:", err)
		os.Exit(1)
	}
}
