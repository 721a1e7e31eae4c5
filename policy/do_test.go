package policy_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// layer is a policy that notes when it is entered and left.
type layer struct {
	name  string
	notes *[]string
}

func (l layer) Do(ctx context.Context, op func(context.Context) error) error {
	*l.notes = append(*l.notes, "enter "+l.name)
	defer func() { *l.notes = append(*l.notes, "leave "+l.name) }()
	return op(ctx)
}

func TestDoRunsPoliciesOutermostFirst(t *testing.T) {
	var notes []string
	failed := errors.New("failed")
	err := policy.Do(t.Context(), func(context.Context) error {
		notes = append(notes, "op")
		return failed
	}, layer{"a", &notes}, nil, layer{"b", &notes})
	require.Equal(t, failed, err)
	require.Equal(t, []string{"enter a", "enter b", "op", "leave b", "leave a"}, notes)
}

func TestDoWithoutPoliciesRunsTheOperation(t *testing.T) {
	failed := errors.New("failed")
	require.Equal(t, failed, policy.Do(t.Context(), func(context.Context) error { return failed }))
}

func TestGetReturnsTheValueAndTheErrorOfTheLastTry(t *testing.T) {
	failed := errors.New("failed")
	v, err := policy.Get(t.Context(), func(context.Context) (int, error) { return 42, failed }, policy.PerSecond(1))
	require.Equal(t, failed, err)
	require.Equal(t, 42, v)
}

func TestGuardTellsTheOutcome(t *testing.T) {
	failed, caused := errors.New("failed"), errors.New("caused")
	ended, end := context.WithCancelCause(t.Context())
	end(caused)
	ignoreAll := policy.FailureIf(func(error) bool { return false })
	failAll := policy.FailureIf(func(error) bool { return true })
	cases := map[string]struct {
		ctx     context.Context
		err     error
		opts    []policy.Option
		outcome policy.Outcome
	}{
		"nil":                      {outcome: policy.Success},
		"error":                    {err: failed, outcome: policy.Failure},
		"transient":                {err: policy.Transient(failed), outcome: policy.Failure},
		"permanent":                {err: policy.Permanent(failed), outcome: policy.Ignored},
		"permanent, wrapped":       {err: fmt.Errorf("op: %w", policy.Permanent(failed)), outcome: policy.Ignored},
		"refusal":                  {err: &policy.Error{Reason: policy.ReasonQueueFull}, outcome: policy.Ignored},
		"timeout of the kit":       {err: &policy.Error{Reason: policy.ReasonTimeout}, outcome: policy.Failure},
		"someone's cancel":         {err: context.Canceled, outcome: policy.Failure},
		"someone's deadline":       {err: context.DeadlineExceeded, outcome: policy.Failure},
		"caller's cancel":          {ctx: ended, err: fmt.Errorf("op: %w", context.Canceled), outcome: policy.Ignored},
		"caller's cause":           {ctx: ended, err: fmt.Errorf("op: %w", caused), outcome: policy.Ignored},
		"error of a gone caller":   {ctx: ended, err: failed, outcome: policy.Failure},
		"timeout of a gone caller": {ctx: ended, err: &policy.Error{Reason: policy.ReasonTimeout}, outcome: policy.Failure},
		"FailureIf not":            {err: failed, opts: []policy.Option{ignoreAll}, outcome: policy.Ignored},
		"FailureIf":                {err: policy.Permanent(failed), opts: []policy.Option{failAll}, outcome: policy.Failure},
		"FailureIf and nil":        {opts: []policy.Option{failAll}, outcome: policy.Success},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var outcomes []policy.Outcome
			gate := gateFunc(func(context.Context) (policy.Permit, error) {
				return policy.NewPermit(func(_ context.Context, o policy.Outcome) { outcomes = append(outcomes, o) }), nil
			})
			ctx := c.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			err := policy.Guard(gate, c.opts...).Do(ctx, func(context.Context) error { return c.err })
			require.Equal(t, c.err, err)
			require.Equal(t, []policy.Outcome{c.outcome}, outcomes)
		})
	}
}

func TestGuardDoesNotRunARefusedOperation(t *testing.T) {
	refusal := &policy.Error{Reason: policy.ReasonClosed}
	gate := gateFunc(func(context.Context) (policy.Permit, error) { return policy.Permit{}, refusal })
	err := policy.Guard(gate).Do(t.Context(), func(context.Context) error {
		t.Error("ran though refused")
		return nil
	})
	require.Same(t, refusal, err)
}

func TestPermitSurvivesPanicAndGoexit(t *testing.T) {
	c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1})
	for range 100 {
		require.PanicsWithValue(t, "op", func() {
			_ = c.Do(t.Context(), func(context.Context) error { panic("op") })
		})
		var exited sync.WaitGroup
		exited.Go(func() {
			_ = c.Do(t.Context(), func(context.Context) error { runtime.Goexit(); return nil })
		})
		exited.Wait()
	}
	require.True(t, c.Idle())
	require.EqualValues(t, 200, c.Stats().Admitted)
}
