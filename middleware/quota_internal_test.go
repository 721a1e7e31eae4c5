package middleware

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func onePlan(limit int, per time.Duration) *plan {
	return newPlan([]namedLimit{{"default", policy.RateLimiterConfig{Limit: limit, Per: per}}}, 1, 0)
}

// Inbound trap 17: steps of the wall clock are not seen, for instants are on the
// monotonic clock.
func TestLedgerReadsTheMonotonicClock(t *testing.T) {
	base := newLedger(nil).base
	require.Contains(t, base.String(), "m=", "has a monotonic reading")
	require.NotContains(t, base.Round(0).String(), "m=")
}

// Inbound trap 17: even if time jumped, nobody would be locked out for longer
// than a full bucket takes, nor get more than one.
func TestBucketBearsATimeThatJumps(t *testing.T) {
	p := onePlan(10, time.Minute)
	levels := make([]policy.StoreLevel, 1)
	for _, jump := range []time.Duration{-time.Hour, time.Hour, -1 << 62, 1 << 61} {
		var b bucket
		for range 10 {
			b.take(p, 0, 1, levels)
		}
		b.take(p, jump, 10, levels)
		require.LessOrEqual(t, levels[0].RetryAfter, time.Minute, "%v", jump)
		admitted := 0
		for range 100 {
			if b.take(p, jump, 1, levels); levels[0].Admitted {
				admitted++
			}
		}
		require.LessOrEqual(t, admitted, 10, "%v", jump)
	}
}

// In no period do more pass than the burst and what comes back meanwhile, and
// the level says beforehand what will pass.
func TestBucketNeverGivesMoreThanItHas(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		p := onePlan(1+rnd.IntN(1000), time.Duration(1+rnd.IntN(1e9))*time.Microsecond)
		l := p.limits[0]
		var b bucket
		levels := make([]policy.StoreLevel, 1)
		now, taken := time.Duration(0), 0
		for range 500 {
			n := 1 + rnd.IntN(l.Burst)
			b.take(p, now, 0, levels)
			fits := n <= levels[0].Remaining
			b.take(p, now, n, levels)
			require.Equal(t, fits, levels[0].Admitted)
			if fits {
				taken += n
			} else {
				wait := levels[0].RetryAfter
				require.False(t, levelOf(l, b.tats[0]-now-wait+1, n).Admitted)
				require.True(t, levelOf(l, b.tats[0]-now-wait, n).Admitted)
			}
			require.LessOrEqual(t, taken, l.Burst+int(now/l.Interval))
			now += time.Duration(rnd.Int64N(int64(l.Interval) * 3))
		}
	}
}

func TestIntervalsAreNeverShorterThanTheLimitSays(t *testing.T) {
	for _, tt := range []struct {
		limit int
		per   time.Duration
		grain time.Duration
		want  time.Duration
	}{
		{3, 0, time.Nanosecond, 333_333_334},
		{3, 0, time.Microsecond, 333_334 * time.Microsecond},
		{1e9, time.Second, time.Nanosecond, 1},
		{1e9, time.Second, time.Microsecond, time.Microsecond},
		{1, time.Hour, time.Microsecond, time.Hour},
	} {
		l := namedLimit{"default", policy.RateLimiterConfig{Limit: tt.limit, Per: tt.per}}
		require.Equal(t, tt.want, l.bucket(tt.grain).Interval)
	}
}

func TestBucketIgnoresThePlanOfARequestThatWasOvertaken(t *testing.T) {
	old := onePlan(10, time.Minute)
	current := old.next([]namedLimit{{"default", policy.RateLimiterConfig{Limit: 1, Per: time.Hour}}}, 0)
	levels := make([]policy.StoreLevel, 1)
	var b bucket
	b.take(current, 0, 1, levels)
	require.True(t, levels[0].Admitted)
	b.take(old, 0, 1, levels)
	require.False(t, levels[0].Admitted)
	require.Equal(t, time.Hour, levels[0].RetryAfter)
}
