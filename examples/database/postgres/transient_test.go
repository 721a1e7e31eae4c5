package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestVerdictComesFromTheSQLSTATE(t *testing.T) {
	for state, want := range map[string]verdict{
		"08000": passing, "08003": passing, "08006": passing, "08P01": wrong,
		"40001": passing, "40P01": passing, "40000": passing, "40002": wrong, "40003": passing,
		"53000": sickly, "53100": sickly, "53200": sickly, "53300": passing, "53400": wrong,
		"55P03": passing, "55006": wrong,
		"57P01": passing, "57P02": passing, "57P03": passing, "57P04": wrong, "57P05": passing, "57014": wrong,
		"58030": sickly, "XX000": sickly, "XX001": sickly,
		"25006": passing, "25P02": wrong, "25P03": wrong,
		"28P01": wrong, "28000": wrong, "3D000": wrong, "42501": wrong, "42P01": wrong,
		"22012": wrong, "23505": wrong, "0A000": wrong, "P0001": wrong,
		"": wrong, "4": wrong, "40": wrong, "400010": wrong,
	} {
		err := fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: state, Message: "SQLSTATE 40001: text says nothing"})
		require.Equal(t, want, verdictOf(err), state)
	}
	require.Equal(t, wrong, verdictOf(errors.New("ERROR: deadlock detected (SQLSTATE 40P01)")), "text")
}

func TestBreakerCountsOnlyWhatTheServerIsSickOf(t *testing.T) {
	state := func(code string) error { return policy.Permanent(&pgconn.PgError{Code: code}) }
	pool := func(err error) error {
		return &policy.Error{Reason: policy.ReasonAcquireTimeout, Policy: policy.PolicyPool, Err: err}
	}
	noServer := &policy.Error{Reason: policy.ReasonConnectionFailed, Policy: policy.PolicyPool, Err: errors.New("refused")}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"success":                  {nil, false},
		"its memory is full":       {state("53200"), true},
		"it is broken":             {state("XX001"), true},
		"no answer in time":        {&policy.Error{Reason: policy.ReasonTimeout, Policy: policy.PolicyTimeout}, true},
		"no connection to be made": {pool(noServer), true},
		"the pool is too small":    {pool(context.DeadlineExceeded), false},
		"the row is there already": {state("23505"), false},
		"the connection ended":     {policy.Transient(&pgconn.PgError{Code: "57P01"}), false},
		"a lost connection":        {policy.Transient(errClosed), false},
		"the caller went away":     {context.Canceled, false},
	} {
		require.Equal(t, c.want, sick(c.err), name)
	}
}
