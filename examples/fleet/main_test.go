//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/examples/internal/redisd"
)

// TestMain is also a process of the fleet.
func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		main()
		return
	}
	redis.SetLogger(silent{})
	goleak.VerifyTestMain(m)
}

// silent keeps go-redis from telling what the tests do to its servers.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// With time enough for a slow machine, no call goes without an answer but for the
// black hole.
func TestFleetAdmitsItsLimitTogether(t *testing.T) {
	p := theRun
	p.timeout = 2 * time.Second
	p.phases = []phase{
		{"shared", 10 * time.Second, 0},
		{"Redis stops", 3 * time.Second, syscall.SIGSTOP},
		{"black hole", 3 * time.Second, 0},
		{"Redis back", 5 * time.Second, syscall.SIGCONT},
		{"shared again", 2 * time.Second, 0},
	}
	var out bytes.Buffer
	rows, err := p.run(t.Context(), &out, redisd.Start(t))
	require.NoError(t, err)
	t.Log(table(p, rows))
	require.True(t, p.keepsTheLimit(t, rows), "more than the limit")
	for _, i := range []int{0, 2, 4} {
		least := 0.9
		if i == 0 && p.offeredAll(t, rows[i]) {
			least = 0.97
		}
		require.GreaterOrEqual(t, float64(rows[i].admitted), least*p.allows(i, rows[i].took), rows[i].name)
	}
	shared, hole, again := rows[0], rows[2], rows[4]
	require.Zero(t, shared.without)
	require.Equal(t, hole.admitted+hole.refused, hole.without, "nobody asks Redis")
	require.Less(t, rows[1].most(), p.timeout+p.timeout/2, "nobody waits for it twice")
	require.Equal(t, map[string]int{"closed": p.processes}, again.breakers)
	require.Zero(t, again.without)
}

// offeredAll reports whether the machine was fast enough to call as often as planned:
// a process that is late skips calls.
func (p plan) offeredAll(t *testing.T, r row) bool {
	t.Helper()
	calls, planned := r.admitted+r.refused, float64(p.processes*p.offered)*r.took.Seconds()
	t.Logf("%s: %d calls of %.0f that were planned", r.name, calls, planned)
	return float64(calls) >= 0.97*planned
}

// keepsTheLimit adds up what was admitted from the beginning to the end of each phase:
// there is one full bucket in all. More is for the moments when some know that Redis is
// gone or back, and others do not: the breaker's longest cooldown, and the timeout.
func (p plan) keepsTheLimit(t *testing.T, rows []row) bool {
	t.Helper()
	grain := float64(p.processes + 1) // of clocks, and of shares
	moments := float64(p.limit) * (1 + (p.timeout + 2*time.Second).Seconds())
	kept, admitted, extra := true, 0, 0.0
	for i, r := range rows {
		admitted += r.admitted
		most := p.allows(i, r.counted) + grain
		if i%2 == 1 { // Redis goes or comes
			extra += moments
			most += moments
		}
		since := r.counted
		if i > 0 { // the end of this phase, from the beginning of the first
			since += rows[0].counted + rows[i-1].asked.Sub(rows[0].asked)
		}
		all := p.allows(0, since) + grain + extra
		t.Logf("%-12s admitted %d of at most %.0f; since the beginning %d of %.0f", r.name, r.admitted, most, admitted, all)
		kept = kept && float64(r.admitted) <= most && float64(admitted) <= all
	}
	return kept
}

// What a call pays for a black hole. The best of some runs counts: what else the
// machine does is no matter of ours.
func TestNobodyWaitsForABlackHole(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes more time than a call")
	}
	const slack = 250 * time.Millisecond // less than the timeout, so that nobody waits for it twice
	p := theRun
	p.timeout = 500 * time.Millisecond
	p.phases = []phase{
		{"shared", time.Second, 0},
		{"Redis stops", 1500 * time.Millisecond, syscall.SIGSTOP},
		{"black hole", 2 * time.Second, 0},
	}
	p99, most := time.Hour, time.Hour
	for range 3 {
		rows, err := p.run(t.Context(), io.Discard, redisd.Start(t))
		require.NoError(t, err)
		p99, most = min(p99, demo.Percentile(rows[2].times, 99)), min(most, max(rows[1].most(), rows[2].most()))
		t.Logf("black hole: p99 added to a call %v, most %v of a timeout of %v", p99, most, p.timeout)
		if p99 < time.Millisecond && most <= p.timeout+slack {
			return
		}
	}
	require.Less(t, p99, 5*time.Millisecond, "a busy machine may take a while, but nobody waits")
	require.LessOrEqual(t, most, p.timeout+slack)
}

func TestProgramSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var out bytes.Buffer
	require.EqualError(t, run(t.Context(), &out, theRun), "no redis-server here: apt-get install redis-server")
}

func TestProgramShowsTheTable(t *testing.T) {
	redisd.Program.Find(t)
	p := theRun
	p.processes, p.phases = 2, []phase{{"shared", 200 * time.Millisecond, 0}}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, p))
	require.Regexp(t, `(?s)2 processes share a limit of 100 a second .* 127\.0\.0\.1:\d+.*phase .*\nshared +0\.\d s `, out.String())
}

func TestProgramThatIsInterruptedSaysNoMore(t *testing.T) {
	redisd.Program.Find(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("that will do")
	out := writerFunc(func(p []byte) (int, error) { // the introduction: the server runs
		cancel(over)
		return len(p), nil
	})
	require.Equal(t, over, run(ctx, out, theRun))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
