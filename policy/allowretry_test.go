package policy_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestAllowRetryIsInheritedDownwardsOnly(t *testing.T) {
	parent := t.Context()
	allowed := policy.AllowRetry(parent)
	child, cancel := context.WithCancel(allowed)
	defer cancel()
	require.True(t, policy.RetryAllowed(allowed))
	require.True(t, policy.RetryAllowed(child))
	require.False(t, policy.RetryAllowed(parent))
}

func TestRetryAllowedAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := policy.AllowRetry(t.Context())
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = policy.RetryAllowed(ctx) }))
}

func BenchmarkRetryAllowed(b *testing.B) {
	ctx := policy.AllowRetry(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		_ = policy.RetryAllowed(ctx)
	}
}
