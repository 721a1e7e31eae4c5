package policy_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestFaultsAreNoneAtFirst(t *testing.T) {
	var f policy.Faults
	require.NoError(t, f.Err())
	f.Add("retry", nil)
	require.NoError(t, f.Err())
}

func TestFaultsAreReportedTogetherWithTheirPaths(t *testing.T) {
	var retry policy.Faults
	retry.Addf("multiplier", "%v: must be ≥ 1", 0.5)
	retry.Addf("max_backoff", "%v: must be ≥ 0", -1)

	var transport policy.Faults
	transport.Add("retry", retry.Err())
	transport.Addf("max_keys", "%d: must be ≥ 0", -2)

	var file policy.Faults
	file.Add("clients[0]", transport.Err())
	require.EqualError(t, file.Err(), `clients[0].retry.multiplier: 0.5: must be ≥ 1
clients[0].retry.max_backoff: -1: must be ≥ 0
clients[0].max_keys: -2: must be ≥ 0`)
}

func TestFaultsWithoutAPathAreAddedAsTheyAre(t *testing.T) {
	var inner, outer policy.Faults
	inner.Addf("limit", "0: must be ≥ 1")
	outer.Add("", inner.Err())
	outer.Add("", io.ErrUnexpectedEOF)
	require.EqualError(t, outer.Err(), "limit: 0: must be ≥ 1\nunexpected EOF")
}

func TestFaultOfAWholeConfigTakesThePathOfItsPlace(t *testing.T) {
	var inner, outer policy.Faults
	inner.Addf("", "either limit or rate must be set")
	require.EqualError(t, inner.Err(), "either limit or rate must be set")
	outer.Add("quota", inner.Err())
	require.EqualError(t, outer.Err(), "quota: either limit or rate must be set")
}

func TestFaultsKeepErrorsOfOthers(t *testing.T) {
	var f policy.Faults
	f.Add("tls", errors.Join(io.ErrUnexpectedEOF, errors.New("no certificate")))
	require.EqualError(t, f.Err(), "tls: unexpected EOF\ntls: no certificate")
	require.ErrorIs(t, f.Err(), io.ErrUnexpectedEOF)
}

func TestFaultsKeepTheWordsAroundAFault(t *testing.T) {
	var inner, outer policy.Faults
	inner.Addf("limit", "0: must be ≥ 1")
	wrapped := fmt.Errorf("line 3: %w", errors.Unwrap(fmt.Errorf("%w", inner.Err())))
	outer.Add("quota", wrapped)
	require.EqualError(t, outer.Err(), "quota: line 3: limit: 0: must be ≥ 1")
}

func TestConstructorsPanicWithAllFaults(t *testing.T) {
	require.PanicsWithError(t, `magnetar: invalid RetryConfig:
multiplier: 0.5: must be ≥ 1
budget.burst: -1: must be ≥ 0`, func() {
		policy.NewRetry(policy.RetryConfig{Multiplier: 0.5, Budget: &policy.BudgetConfig{Burst: -1}})
	})
}
