package policy_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestAvoidKnowsTheEndpointsOfACall(t *testing.T) {
	var a policy.Avoid
	ctx := policy.ContextWithAvoid(t.Context(), &a)
	require.Same(t, &a, policy.AvoidFromContext(ctx))
	require.True(t, a.Empty())
	a.Add("192.0.2.1:443")
	a.Add("192.0.2.2:443")
	a.Add("192.0.2.2:443")
	require.False(t, a.Empty())
	require.True(t, a.Has("192.0.2.1:443"))
	require.True(t, a.Has("192.0.2.2:443"))
	require.False(t, a.Has("192.0.2.3:443"))
	require.False(t, a.Has(""))
}

func TestAvoidIsBounded(t *testing.T) {
	var a policy.Avoid
	for i := range 1000 {
		a.Add(strconv.Itoa(i))
	}
	require.True(t, a.Has("15"))
	require.False(t, a.Has("16"))
}

func TestAvoidOfNobodyIsEmpty(t *testing.T) {
	a := policy.AvoidFromContext(t.Context())
	require.Nil(t, a)
	require.True(t, a.Empty())
	require.False(t, a.Has("192.0.2.1:443"))
}

func TestAvoidOfOneTryAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var shared policy.Avoid
	require.Zero(t, testing.AllocsPerRun(100, func() {
		shared = policy.Avoid{}
		shared.Add("192.0.2.1:443")
		_ = shared.Has("192.0.2.1:443")
	}))
}
