//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// today in microseconds, and so on.
const (
	today  = int64(1_800_000_000_000_000)
	second = int64(1_000_000)
	day    = 24 * time.Hour
)

func newClock(t *testing.T) (setClock, *redislimit.Store) {
	t.Helper()
	d := startServer(t)
	script := strings.Replace(redislimit.Script, "redis.call('TIME')", "redis.call('LRANGE', 'clock', 0, 1)", 1)
	require.NotEqual(t, redislimit.Script, script)
	lasting := strings.Replace(script, "if redis.call('PTTL', KEYS[1]) < ttl then", "if false then", 1) // that has a clock of its own
	require.NotEqual(t, script, lasting)
	clock := setClock{client: clientOf(t, d.Address()), script: lasting}
	c := clientOf(t, d.Address())
	c.AddHook(clock)
	return clock, newStore(t, c, redislimit.Config{OnFailure: redislimit.Closed})
}

// model is policy.StoreLimit's formulae as they stand there.
type model map[string]int64

func (m model) take(now int64, n int, limits []policy.StoreLimit) []policy.StoreLevel {
	levels, all := make([]policy.StoreLevel, len(limits)), true
	backlogs := make([]int64, len(limits))
	for i, l := range limits {
		unit := l.Interval.Microseconds()
		full := int64(l.Burst) * unit
		backlogs[i] = max(0, m[l.Name]-now)
		if backlogs[i] > full {
			backlogs[i], m[l.Name] = full, now+full
		}
		room := full - backlogs[i]
		levels[i].Admitted = n <= l.Burst && int64(n)*unit <= room
		switch {
		case n > l.Burst:
			levels[i].RetryAfter = -1
		case !levels[i].Admitted:
			levels[i].RetryAfter = time.Duration(int64(n)*unit-room) * time.Microsecond
		}
		all = all && levels[i].Admitted
	}
	for i, l := range limits {
		unit := l.Interval.Microseconds()
		if all && n > 0 {
			backlogs[i] += int64(n) * unit
			m[l.Name] = now + backlogs[i]
		}
		levels[i].Remaining = int((int64(l.Burst)*unit - backlogs[i]) / unit)
		levels[i].Reset = time.Duration(backlogs[i]) * time.Microsecond
	}
	return levels
}

// Small and huge limits, weights around their bounds, and a clock that goes, leaps
// and steps back.
func TestScriptDoesAsTheFormulaeSay(t *testing.T) {
	clock, s := newClock(t)
	for seed, limits := range [][]policy.StoreLimit{
		limitOf(10, 100*time.Millisecond),
		limitOf(1, time.Microsecond),
		limitOf(math.MaxInt32, time.Microsecond),
		limitOf(math.MaxInt32, 2*time.Millisecond),
		limitOf(1000, day),
		limitOf(52_124, day), // 142 years
		{
			{Name: "second", Burst: 100, Interval: 10 * time.Millisecond},
			{Name: "day", Burst: 5000, Interval: day / 5000},
			{Name: "smooth", Burst: 1, Interval: 3 * time.Millisecond},
		},
	} {
		r := rand.New(rand.NewPCG(1, uint64(seed)))
		do(t, clock.client, "FLUSHALL")
		m, now := model{}, today
		for i := range 400 {
			scale := int64(limits[0].Burst) * limits[0].Interval.Microseconds()
			switch r.IntN(10) {
			case 0:
				now -= r.Int64N(2 * scale)
			case 1:
				now += r.Int64N(2 * scale)
			default:
				now += r.Int64N(scale/8 + 2)
			}
			now = min(max(now, today/2), 2*today)
			n := []int{0, 1, 2, r.IntN(limits[0].Burst) + 1, limits[0].Burst, limits[0].Burst + 1, math.MaxInt}[r.IntN(7)]
			clock.at(t, now)
			require.Equalf(t, m.take(now, n, limits), take(t, s, n, limits), "limits %d, step %d: %d at %d", seed, i, n, now)
		}
	}
}

// Inbound trap 21: an hour back, and nobody is locked out for longer than the
// second that a bucket takes.
func TestClockThatStepsBackLocksNobodyOut(t *testing.T) {
	clock, s := newClock(t)
	limits := limitOf(10, 100*time.Millisecond)
	clock.at(t, today)
	require.Equal(t, 0, take(t, s, 10, limits)[0].Remaining)
	back := today - 3600*second
	clock.at(t, back)
	level := take(t, s, 1, limits)[0]
	require.Equal(t, policy.StoreLevel{RetryAfter: 100 * time.Millisecond, Reset: time.Second}, level)
	clock.at(t, back+second/2)
	require.Equal(t, 5, take(t, s, 0, limits)[0].Remaining)
	clock.at(t, back+second)
	require.True(t, take(t, s, 10, limits)[0].Admitted)
	clock.at(t, back+3600*second)
	require.Equal(t, 10, take(t, s, 0, limits)[0].Remaining)
}

// Beyond 142 years a bucket is cut, to be exact: it refuses more, never less.
func TestScriptIsExactWhereFloatsWouldNotBe(t *testing.T) {
	clock, s := newClock(t)
	limits := limitOf(math.MaxInt32, day)
	for i := range 5 {
		clock.at(t, today+int64(i)) // a microsecond each
		level := take(t, s, 10_000, limits)[0]
		require.True(t, level.Admitted)
		require.Equal(t, time.Duration(i+1)*10_000*day-time.Duration(i)*time.Microsecond, level.Reset)
	}
	level := take(t, s, 10_000, limits)[0]
	require.False(t, level.Admitted)
	require.Positive(t, level.RetryAfter)
	require.Equal(t, -1, int(take(t, s, math.MaxInt32, limits)[0].RetryAfter))

	clock.at(t, today)
	longest := []policy.StoreLimit{{Name: "longest", Burst: math.MaxInt, Interval: math.MaxInt64}}
	require.True(t, take(t, s, 1, longest)[0].Admitted)
	require.False(t, take(t, s, 1, longest)[0].Admitted)
}

// What is no number counts as a bucket that was just emptied, and is a number
// from then on; what is one is cut to what can be.
func TestWrongValuesHealWithinAPeriod(t *testing.T) {
	clock, s := newClock(t)
	limits := limitOf(10, 100*time.Millisecond)
	clock.at(t, today)
	take(t, s, 1, limits)
	key := onlyKey(t, clock.client)
	for value, past := range map[string]bool{
		"": false, "abc": false, "nan": false, "-nan": false, "inf": false, "1e400": false, "9e18": false,
		"0x7fffffffffffffff": false, "99999999999999999999999": false, "1800000000000000,5": false, "\x00\xff": false,
		"1800000000000000/": false, "/5": false, "5/5/5": false, "1800000099000000/99000000": false,
		"-5": true, "-inf": true, "-1e400": true, "0": true, "-9223372036854775808": true, "5/5": true,
	} {
		clock.at(t, today)
		do(t, clock.client, "HSET", key, "default", value)
		level := take(t, s, 1, limits)[0]
		require.Equalf(t, past, level.Admitted, "%q", value)
		if past {
			require.Equalf(t, 9, level.Remaining, "%q", value)
			continue
		}
		require.Equalf(t, policy.StoreLevel{RetryAfter: 100 * time.Millisecond, Reset: time.Second}, level, "%q", value)
		clock.at(t, today+second)
		require.Equalf(t, 10, take(t, s, 0, limits)[0].Remaining, "%q", value)
	}
}

// Nor does a Limiter take for a line what cannot be one, whoever asks.
func TestWrongValuesOfALimiterHealWithinAPeriod(t *testing.T) {
	clock, s := newClock(t)
	wait := func(most time.Duration) time.Duration {
		l, err := redislimit.NewLimiter(s, "payments", policy.RateLimiterConfig{Limit: 1, Per: time.Minute, MaxWait: most})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = l.Admit(ctx)
		if err == nil {
			return 0
		}
		var refusal *policy.Error
		require.ErrorAs(t, err, &refusal)
		return refusal.RetryAfter
	}
	clock.at(t, today)
	require.Zero(t, wait(-1))
	key := onlyKey(t, clock.client)
	for value, want := range map[string]time.Duration{
		"": time.Minute, "abc": time.Minute, "abc/5": time.Minute, "nan/5": time.Minute, "inf/inf": time.Minute,
		"9e18": time.Minute, "1800000000000000/": time.Minute, "-5/5": time.Minute, "1800000001000000/1e6": time.Minute,
		"1800000000000000/" + strings.Repeat("9", 400): time.Minute,
		"999999999999999999/999999999999999999":        time.Minute,
		"1800000000000000/999999999999999999":          time.Minute,
		strings.Repeat("9", 400) + "/60000000":         time.Minute, // as of a clock that was ahead
		"1800003600000000/3600000000":                  time.Hour,
		"1800000000000000/3600000000":                  0,
		"5/5":                                          0,
		"1831535940000000/31535940000000":              365*24*time.Hour - time.Minute,
		"1831536060000001/31536060000001":              time.Minute, // a year, a bucket and a microsecond
	} {
		for _, most := range []time.Duration{-1, time.Hour} {
			clock.at(t, today)
			do(t, clock.client, "HSET", key, `"payments"`, value)
			require.Equalf(t, want, wait(most), "%q", value)
		}
	}
}

func onlyKey(t *testing.T, c *redis.Client) string {
	t.Helper()
	all, err := c.Keys(t.Context(), "magnetar:*").Result()
	require.NoError(t, err)
	require.Len(t, all, 1)
	return all[0]
}

// The fraction of a microsecond that somebody else stored is not admitted.
func TestFractionsAreRoundedUp(t *testing.T) {
	clock, s := newClock(t)
	limits := limitOf(1, time.Microsecond)
	clock.at(t, today)
	take(t, s, 1, limits)
	do(t, clock.client, "HSET", onlyKey(t, clock.client), "default", "1800000000000000.25")
	require.False(t, take(t, s, 1, limits)[0].Admitted)
}

// Processes that counted by themselves tell what they have taken: it is added, as far
// as there is room, before what is asked, and whether or not that fits.
func TestScriptLearnsWhatWasTakenWithoutIt(t *testing.T) {
	clock, _ := newClock(t)
	const full, ceiling, line, most = 1000, 5000, 3000, 2000
	ask := func(field string, ceiling, line, most, cost, owed int64) any {
		numbers := fmt.Sprint(full, ceiling, line, most, cost, owed)
		return do(t, clock.client, "EVAL", clock.script, 1, "key", field, numbers)
	}
	type step struct{ cost, owed, taken, before int64 }
	clock.at(t, today)
	for _, s := range []step{
		{0, 300, 1, 0},
		{0, 0, 1, 300},
		{100, 200, 1, 300},
		{401, 0, 0, 600},
		{401, 1, 0, 600},
		{399, 0, 1, 601},
		{1, 1 << 52, 0, 1000},
		{0, 0, 1, 1000},
	} {
		require.Equal(t, []any{s.taken, s.before}, ask("quota", full, full, full, s.cost, s.owed), s)
	}
	for _, s := range []step{
		{500, 1000, 1, 0},
		{501, 0, 0, 1500},
		{1, 900, 0, 1500},
		{0, 0, 1, 2400},
		{0, 1 << 52, 1, 2400},
		{0, 0, 1, 3000},
		{0, 1, 1, 3000},
	} {
		require.Equal(t, []any{s.taken, s.before}, ask("line", ceiling, line, most, s.cost, s.owed), s)
	}
	require.Equal(t, []any{int64(1), int64(3000)}, ask("line", ceiling, 4*full, 4*full, 1000, 0), "who may wait for longer")
	require.Equal(t, []any{int64(1), int64(4000)}, ask("line", ceiling, line, most, 0, 500), "who may not cuts nothing")
	require.Equal(t, []any{int64(1), int64(4000)}, ask("line", ceiling, line, most, 0, 0))
}

// A process whose Redis is back tells it by a Limiter, and by a quota.
func TestRealServerLearnsWhatWasTakenWithoutIt(t *testing.T) {
	d := startServer(t)
	c := clientOf(t, d.Address())
	s := newStore(t, c, redislimit.Config{OnFailure: redislimit.Local, Replicas: 4})
	other := newStore(t, clientOf(t, d.Address()), redislimit.Config{OnFailure: redislimit.Closed})
	l, err := redislimit.NewLimiter(s, "payments", policy.RateLimiterConfig{Limit: 100, Per: 24 * time.Hour, MaxWait: -1})
	require.NoError(t, err)
	take(t, s, 10, limitOf(100, day))
	do(t, c, "CONFIG", "SET", "maxmemory", "1")
	for range 22 {
		require.True(t, take(t, s, 1, limitOf(100, day))[0].Admitted)
	}
	for range 25 {
		_, err := l.Admit(t.Context())
		require.NoError(t, err)
	}
	do(t, c, "CONFIG", "SET", "maxmemory", "0")
	eventually(t, s)
	require.Equal(t, 90, take(t, other, 0, limitOf(100, day))[0].Remaining)
	require.Equal(t, 68, take(t, s, 0, limitOf(100, day))[0].Remaining)
	require.Equal(t, 68, take(t, other, 0, limitOf(100, day))[0].Remaining)
	admitted := 0
	for range 200 {
		if _, err := l.Admit(t.Context()); err == nil {
			admitted++
		}
	}
	require.Equal(t, 75, admitted)
}

func TestKeysAreGoneWhenTheyAreOfNoUse(t *testing.T) {
	d := startServer(t)
	c := clientOf(t, d.Address())
	s := newStore(t, c, redislimit.Config{})
	both := append(limitOf(10, 10*time.Second), policy.StoreLimit{Name: "short", Burst: 10, Interval: 5 * time.Millisecond})
	ttl := func() time.Duration {
		all, err := c.Keys(t.Context(), "magnetar:*").Result()
		require.NoError(t, err)
		require.Len(t, all, 1, "one key for all limits")
		left, err := c.PTTL(t.Context(), all[0]).Result()
		require.NoError(t, err)
		return left
	}
	take(t, s, 10, both)
	left := ttl()
	require.Greater(t, left, 50*time.Second)
	require.LessOrEqual(t, left, 100*time.Second+2*time.Millisecond)
	require.Eventually(t, func() bool { return take(t, s, 1, both[1:])[0].Admitted }, patience, 5*time.Millisecond)
	require.Greater(t, ttl(), 50*time.Second, "a short limit does not cut a long one short")

	do(t, c, "FLUSHALL")
	take(t, s, 1, both[1:])
	require.Eventually(t, func() bool {
		n, err := c.DBSize(t.Context()).Result()
		return err == nil && n == 0
	}, patience, 5*time.Millisecond)
	take(t, s, 0, both)
	n, err := c.DBSize(t.Context()).Result()
	require.NoError(t, err)
	require.Zero(t, n, "to look takes no room")
}
