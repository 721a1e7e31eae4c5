//go:build linux

package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/s3/store"
)

func TestNoCallIsLost(t *testing.T) {
	s := serve(t, gatewayProgram)
	for _, sc := range scenes {
		t.Run(sc.name, func(t *testing.T) {
			tally, err := s.play(t.Context(), sc)
			require.NoError(t, err)
			t.Log(tally)
			require.Zero(t, tally.lost)
			require.Positive(t, tally.answered)
			if sc.name != quiet {
				require.Positive(t, tally.repeated)
			}
		})
	}
}

func TestProgramShowsItsScenesAndLeavesNothing(t *testing.T) {
	t.Setenv(gatewayProgram.Variable, gatewayProgram.Find(t))
	t.Setenv("TMPDIR", t.TempDir())
	some := []scene{scenes[1], scenes[len(scenes)-1]}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, some), &out)
	for _, sc := range some {
		require.Contains(t, out.String(), sc.name)
	}
	require.Contains(t, out.String(), "none lost")
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestProgramSaysHowToGetTheServer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(gatewayProgram.Variable, "")
	require.ErrorContains(t, run(t.Context(), nil, scenes), "go install github.com/versity/versitygw")
	t.Setenv(gatewayProgram.Variable, "/no/such/binary")
	require.ErrorContains(t, run(t.Context(), nil, scenes), gatewayProgram.Variable)
}

func TestProgramEndsWhenInterrupted(t *testing.T) {
	s := serve(t, gatewayProgram)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.show(ctx, io.Discard, scenes), context.Canceled)
}

func TestProgramFailsWhereACallIsLost(t *testing.T) {
	s := serve(t, gatewayProgram)
	hopeless := scene{
		"503 SlowDown to every request", func() func(*http.Request) fault { return every(1, anything, slowDown) }, putAndGet, store.Chain,
	}
	var out bytes.Buffer
	require.ErrorIs(t, s.show(t.Context(), &out, []scene{hopeless}), errLost)
	require.Contains(t, out.String(), "SlowDown")
}
