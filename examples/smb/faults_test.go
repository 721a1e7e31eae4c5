//go:build linux

package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func hasty() Config {
	cfg := Patient()
	cfg.Try = 500 * time.Millisecond
	cfg.Pool.CreateTimeout = time.Second
	return cfg
}

// report prints one line a fault, which is what `make integration` shows.
func report(name string, t tally) {
	if testing.Verbose() {
		fmt.Printf("fault: %s  %v\n", name, t)
	}
}

func TestNoCallIsLostThatMayBeRepeated(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := startSmbd(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			end, err := f.survive(ctx, s, hasty())
			require.NoError(t, err)
			require.GreaterOrEqual(t, end.repeated, f.times*f.felt)
			require.Equal(t, end.offered, end.answered)
			report(f.name, end)
		})
	}
}
