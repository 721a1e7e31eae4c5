package policy_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

var sentinels = []error{
	policy.ErrCircuitOpen, policy.ErrRateLimitExceeded, policy.ErrSaturated, policy.ErrPoolExhausted,
	policy.ErrConnectionCreation, policy.ErrUnhealthyConnection, policy.ErrTimeout, policy.ErrMaxRetriesExceeded,
	policy.ErrClosed,
}

func TestReasonStandsForItsSentinelAlone(t *testing.T) {
	want := map[policy.Reason]error{
		policy.ReasonCircuitOpen:      policy.ErrCircuitOpen,
		policy.ReasonForcedOpen:       policy.ErrCircuitOpen,
		policy.ReasonTrialsBusy:       policy.ErrCircuitOpen,
		policy.ReasonRateLimit:        policy.ErrRateLimitExceeded,
		policy.ReasonKeyHeld:          policy.ErrRateLimitExceeded,
		policy.ReasonLimitReached:     policy.ErrSaturated,
		policy.ReasonQueueFull:        policy.ErrSaturated,
		policy.ReasonQueueTimeout:     policy.ErrSaturated,
		policy.ReasonClosed:           policy.ErrClosed,
		policy.ReasonTimeout:          policy.ErrTimeout,
		policy.ReasonTotalTimeout:     policy.ErrTimeout,
		policy.ReasonAttemptTimeout:   policy.ErrTimeout,
		policy.ReasonBodyStalled:      policy.ErrTimeout,
		policy.ReasonAcquireTimeout:   policy.ErrPoolExhausted,
		policy.ReasonTooManyWaiters:   policy.ErrPoolExhausted,
		policy.ReasonNoneIdle:         policy.ErrPoolExhausted,
		policy.ReasonConnectionFailed: policy.ErrConnectionCreation,
		policy.ReasonNoEndpoint:       policy.ErrConnectionCreation,
		policy.ReasonUnhealthy:        policy.ErrUnhealthyConnection,
		policy.ReasonCreateTimeout:    policy.ErrTimeout,
		policy.ReasonCheckTimeout:     policy.ErrTimeout,
		policy.ReasonMaxRetries:       policy.ErrMaxRetriesExceeded,
		policy.ReasonBudget:           nil, // the last error is returned as it is
		policy.ReasonNotRetryable:     nil,
		policy.ReasonError:            nil,
		policy.ReasonTrialFailed:      nil,
		"":                            nil,
		"unknown":                     nil,
	}
	for r, sentinel := range want {
		for _, s := range sentinels {
			require.Equal(t, s == sentinel, errors.Is(&policy.Error{Reason: r}, s), "%s, %v", r, s)
		}
	}
}

// Values are metric attributes: they must be unique and follow their names.
func TestClosedSetsAreNamedAfterTheirConstants(t *testing.T) {
	for file, prefix := range map[string]string{"reason.go": "Reason", "decision.go": "Action"} {
		values := stringConstants(t, file, prefix)
		require.NotEmpty(t, values)
		names := map[string]string{}
		for name, value := range values {
			require.Regexp(t, `^[a-z]+(_[a-z]+)*$`, value, name)
			require.True(t, strings.EqualFold(prefix+strings.ReplaceAll(value, "_", ""), name), "%s is %s", name, value)
			require.Empty(t, names[value], "%s is %s, too", name, value)
			names[value] = name
		}
	}
}

func stringConstants(t *testing.T, file, prefix string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	found := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, prefix) {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
			value, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			found[spec.Names[0].Name] = value
		}
		return true
	})
	return found
}
