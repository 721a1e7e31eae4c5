package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
)

const introduction = `A versitygw keeps objects, and a proxy before it makes faults. The AWS SDK calls it with its own retries off, through
  store.New(cfg, store.Chain(), …)

`

// run starts a server of its own and plays the scenes.
func run(ctx context.Context, w io.Writer, scenes []scene) error {
	var failed error
	err := daemon.Alone(ctx, func(t testing.TB) {
		s := serve(t, anyGateway())
		if _, failed = fmt.Fprint(w, introduction); failed == nil {
			failed = s.show(ctx, w, scenes)
		}
	})
	return errors.Join(failed, err)
}
