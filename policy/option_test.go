package policy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestObserverThatNobodyReadsIsToldNothing(t *testing.T) {
	s := &switchable{}
	r := policy.NewRetry(policy.RetryConfig{MaxRetries: -1}, policy.WithObserver(s))
	f := failingOp{err: errFlaky}
	require.Error(t, r.Do(t.Context(), f.op))
	require.Zero(t, s.told)

	s.on = true
	require.Error(t, r.Do(t.Context(), f.op))
	require.Equal(t, 1, s.told, "it is asked each time")
}

func TestNilObserverIsNobody(t *testing.T) {
	r := policy.NewRetry(policy.RetryConfig{MaxRetries: -1}, policy.WithObserver(nil))
	f := failingOp{err: errFlaky}
	require.Same(t, errFlaky, r.Do(t.Context(), f.op))
}

func TestKeyNamesWhatThePolicyGuards(t *testing.T) {
	var seen recorder
	r := policy.NewRetry(policy.RetryConfig{MaxRetries: -1}, policy.WithObserver(&seen), policy.WithKey("orders"))
	f := failingOp{err: errFlaky}
	require.Error(t, r.Do(t.Context(), f.op))
	require.Equal(t, "orders", seen.last().Key)
}
