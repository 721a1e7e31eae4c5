//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "database: it starts a server of its own, which it can do on Linux only")
	os.Exit(1)
}
