//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

func run(context.Context, io.Writer, []scene) error {
	return errors.New("it starts a server of its own, which it can do on Linux only; what is to be copied from is for all")
}
