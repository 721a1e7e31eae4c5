//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

func withServers(context.Context, io.Writer, Config, func(Config) error) error {
	return errors.New("it starts servers of Debian's, so elsewhere than on Linux they must be named: " +
		"SERVICE_DATABASE_URL, and SERVICE_SHARED_URL or SERVICE_SHARED=null")
}
