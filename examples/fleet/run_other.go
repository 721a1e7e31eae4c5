//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

func run(context.Context, io.Writer, plan) error {
	return errors.New("it starts Debian's redis-server, so it needs Linux; what is to be copied from does not")
}
