package policy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestErrorMatchesItsSentinelThroughWhatWrapsIt(t *testing.T) {
	e := &policy.Error{Reason: policy.ReasonCircuitOpen, Policy: policy.PolicyBreaker}
	for _, err := range []error{
		e,
		&url.Error{Op: "Get", URL: "http://example.com", Err: e},
		fmt.Errorf("fetch: %w", e),
		errors.Join(errors.New("other"), e),
	} {
		require.ErrorIs(t, err, policy.ErrCircuitOpen)
		require.NotErrorIs(t, err, policy.ErrRateLimitExceeded)
		require.True(t, policy.Refused(err))
	}
}

func TestErrorMatchesItsCause(t *testing.T) {
	cause := errors.New("boom")
	e := &policy.Error{Reason: policy.ReasonMaxRetries, Err: cause}
	require.ErrorIs(t, e, cause)
	require.ErrorIs(t, e, policy.ErrMaxRetriesExceeded)
	require.NotErrorIs(t, &policy.Error{}, cause)
}

func TestErrorSaysWhatWasDecidedLocally(t *testing.T) {
	for want, e := range map[string]policy.Error{
		"magnetar: refused locally by breaker for https://a:443: circuit open (circuit_open), retry after 1.5s": {
			Reason: policy.ReasonCircuitOpen, Policy: policy.PolicyBreaker, Key: "https://a:443", RetryAfter: 1500 * time.Millisecond,
		},
		"magnetar: gave up locally by retry: max retries exceeded (max_retries) after 4 attempts: boom": {
			Reason: policy.ReasonMaxRetries, Policy: policy.PolicyRetry, Attempts: 4, Err: errors.New("boom"),
		},
		"magnetar: local timeout by timeout: timeout (attempt_timeout) after 1 attempt: no response within 10s": {
			Reason: policy.ReasonAttemptTimeout, Policy: policy.PolicyTimeout, Attempts: 1, Err: errors.New("no response within 10s"),
		},
		"magnetar: refused locally, retry after 2s: slow down": {
			RetryAfter: 2 * time.Second, Err: errors.New("slow down"),
		},
	} {
		require.EqualError(t, &e, want)
	}
}

func TestErrorIsATimeoutOnlyWhenTimeRanOut(t *testing.T) {
	for _, c := range []struct {
		e         policy.Error
		timeout   bool
		temporary bool
	}{
		{policy.Error{Reason: policy.ReasonTotalTimeout}, true, false},
		{policy.Error{Reason: policy.ReasonBodyStalled}, true, false},
		{policy.Error{Reason: policy.ReasonMaxRetries, Err: context.DeadlineExceeded}, true, false},
		{policy.Error{Reason: policy.ReasonMaxRetries, Err: errors.New("boom")}, false, false},
		{policy.Error{Reason: policy.ReasonCircuitOpen}, false, true},
		{policy.Error{Reason: policy.ReasonQueueTimeout}, false, true},
		{policy.Error{Reason: policy.ReasonClosed}, false, true},
	} {
		// As net/http's callers ask.
		err := &url.Error{Op: "Get", URL: "http://example.com", Err: &c.e}
		require.Equal(t, c.timeout, err.Timeout(), c.e.Reason)
		require.Equal(t, c.temporary, err.Temporary(), c.e.Reason)
		ne, ok := errors.AsType[net.Error](error(&c.e))
		require.True(t, ok)
		require.Equal(t, c.timeout, ne.Timeout(), c.e.Reason)
	}
}

func TestErrorTypeIsTheReason(t *testing.T) {
	require.Equal(t, "circuit_open", (&policy.Error{Reason: policy.ReasonCircuitOpen}).ErrorType())
}

func TestRefusedTellsRefusalsFromOtherErrors(t *testing.T) {
	for _, r := range []policy.Reason{
		policy.ReasonCircuitOpen, policy.ReasonForcedOpen, policy.ReasonTrialsBusy,
		policy.ReasonRateLimit, policy.ReasonKeyHeld,
		policy.ReasonLimitReached, policy.ReasonQueueFull, policy.ReasonQueueTimeout,
		policy.ReasonClosed,
	} {
		require.True(t, policy.Refused(&policy.Error{Reason: r}), r)
	}
	for _, err := range []error{
		nil,
		errors.New("boom"),
		context.Canceled,
		policy.ErrCircuitOpen, // the bare sentinel is nobody's decision
		&policy.Error{},
		&policy.Error{Reason: policy.ReasonTimeout},
		&policy.Error{Reason: policy.ReasonMaxRetries, Err: &policy.Error{Reason: policy.ReasonCircuitOpen}},
	} {
		require.False(t, policy.Refused(err), "%v", err)
	}
}

func TestMarksKeepTheErrorAndItsText(t *testing.T) {
	cause := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, mark := range []func(error) error{policy.Transient, policy.Permanent} {
		require.NoError(t, mark(nil))
		err := mark(cause)
		require.EqualError(t, err, cause.Error())
		require.ErrorIs(t, err, cause)
		_, ok := errors.AsType[*net.OpError](err)
		require.True(t, ok)
	}
}
