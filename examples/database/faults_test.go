//go:build linux

package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/magnetar-go/magnetar/examples/internal/postgresd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a fault must have shown, or it was none.
var shown = map[string]func(*result) bool{
	"every connection terminated":  func(r *result) bool { return r.causes["57P01"] > 0 },
	"restart, fast":                func(r *result) bool { return r.repeated > 0 },
	"restart, immediate":           func(r *result) bool { return r.repeated > 0 },
	"max_connections reached":      func(r *result) bool { return r.refused["53300"] > 0 },
	"password rotated":             func(r *result) bool { return r.refused["28P01"] == 0 },
	"connection cut during COMMIT": func(r *result) bool { return r.unknown > r.happened && r.happened > 0 },
	"serialization failures":       func(r *result) bool { return r.causes["40001"] > 0 },
	"deadlocks":                    func(r *result) bool { return r.causes["40P01"] > 0 },
}

func TestNoCallIsLostAndNoCommitRepeated(t *testing.T) {
	s := newServer(t)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			r := f.survive(t, s)
			t.Logf("%v\n%s", r, r.details())
			require.Empty(t, r.errs)
			require.Empty(t, r.wrong)
			require.True(t, shown[f.name](r), "it was not seen")
			require.Equal(t, r.offered, r.answered+r.unknown)
			require.Greater(t, r.answered, 20)
		})
	}
}

func TestAuditFindsWhatIsThereTooOftenOrNotAtAll(t *testing.T) {
	s := newServer(t)
	db := s.open(t)
	for _, key := range []string{"twice", "twice", "denied", "guessed"} {
		require.NoError(t, db.Do(t.Context(), book(key, 1)))
	}
	r := newResult("made up")
	r.told = map[string]told{"twice": done, "missing": done, "denied": notDone, "guessed": perhaps, "gone": perhaps, "failed": notDone}
	require.NoError(t, r.audit(t.Context(), db))
	require.ElementsMatch(t, []string{
		"twice is there 2 times, its caller was told that it is done",
		"missing is there 0 times, its caller was told that it is done",
		"denied is there 1 times, its caller was told that it failed",
	}, r.wrong)
	require.Equal(t, 1, r.happened)
	require.False(t, r.kept())

	s.Admin(t, postgresd.Database, "update account set balance = balance + 7 where id = 1")
	r = newResult("made up")
	require.NoError(t, r.audit(t.Context(), db))
	require.Equal(t, []string{"the accounts have 7 more than was booked"}, r.wrong)
}

func TestProgramEndsByItselfAndSaysWhatItSurvived(t *testing.T) {
	postgresd.Program.Find(t) // or it is skipped
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, faults[:1]))
	require.Regexp(t, `(?m)^fault: every connection terminated +offered +\d+  answered +\d+  repeated +\d+  lost 0$`, out.String())
	require.Contains(t, out.String(), "No call was lost that could be repeated")
}

func TestProgramEndsWhenInterrupted(t *testing.T) {
	postgresd.Program.Find(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.Error(t, run(ctx, &bytes.Buffer{}, faults))
}
