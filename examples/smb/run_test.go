//go:build linux

package main

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
	"github.com/magnetar-go/magnetar/policy"
)

func needSmbd(t *testing.T) {
	t.Helper()
	daemon.Program{Name: "smbd", Package: "samba"}.Find(t)
}

func TestProgramTellsWhatBecameOfCalls(t *testing.T) {
	needSmbd(t)
	var out bytes.Buffer
	some := []fault{faults[0], faults[len(faults)-1]}
	require.NoError(t, show(t.Context(), &out, some))
	for _, f := range some {
		require.Regexp(t, `fault: `+f.name+` +offered \d+  answered \d+  repeated \d+  lost 0`, out.String())
	}
	require.Contains(t, out.String(), "Nothing was lost")
}

func TestProgramFailsWhenSomethingIsLost(t *testing.T) {
	needSmbd(t)
	var out bytes.Buffer
	disaster := fault{"another password", 1, 0, func(s *smbd) { s.kill(); s.setPassword("other") }, (*smbd).revive}
	err := show(t.Context(), &out, []fault{disaster, faults[0]})
	require.ErrorContains(t, err, "another password")
	require.ErrorIs(t, err, policy.ErrConnectionCreation)
	require.Regexp(t, `fault: another password .* lost [1-9]`, out.String())
	require.NotContains(t, out.String(), faults[0].name)
}

func TestProgramEndsWhenInterrupted(t *testing.T) {
	needSmbd(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, run(ctx, io.Discard), context.Canceled)
}
