package redislimit

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// FuzzReply: whatever Redis answers is refused, or is levels within their bounds.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		`[1, 0]`, `[0, 1000000]`, `[1, 900000]`, `[1, 900001]`, `[0, 900000]`, `[1, -1]`, `[2, 0]`, `[-1, 0]`, `[]`, `[1]`,
		`[1, 0, 0]`, `["1", "0"]`, `[1, null]`, `[[1], 0]`, `null`, `"OK"`, `1`, `[1, 9223372036854775807]`,
		`[1, -9223372036854775808]`, `[1, 0.5]`, `[true, 0]`, `[0, 4503599627370497]`,
	} {
		f.Add(seed, 1, 10, int64(100*time.Millisecond))
	}
	f.Add(`[1, 0]`, math.MaxInt32, math.MaxInt32, int64(24*time.Hour))
	f.Add(`[0, 0]`, math.MaxInt, math.MaxInt, int64(math.MaxInt64))
	f.Add(`[1, 0]`, math.MinInt, 1, int64(1))
	f.Fuzz(func(t *testing.T, text string, n, burst int, interval int64) {
		limits := []policy.StoreLimit{{Name: "default", Burst: burst, Interval: time.Duration(interval)}}
		charges, err := chargesOf(limits, n)
		if err != nil {
			require.True(t, burst < 1 || interval < 1)
			return
		}
		var reply any
		if json.Unmarshal([]byte(text), &reply) != nil {
			return
		}
		inDebt := charges[0].queueing(time.Second).waiting(time.Millisecond)
		inDebt.owed = min(int64(burst), longest)
		if a, err := parse(asRedis(reply), []charge{inDebt}); err == nil {
			require.LessOrEqual(t, a.backlogs[0], inDebt.ceiling)
			require.GreaterOrEqual(t, a.charges[0].owed, int64(0), "what Redis had no room for")
			require.True(t, a.charges[0].owed == 0 || a.backlogs[0] >= inDebt.line)
		}
		a, err := parse(asRedis(reply), charges)
		if err != nil {
			require.Empty(t, a.levels())
			return
		}
		level := a.levels()[0]
		require.Equal(t, a.taken, level.Admitted)
		require.GreaterOrEqual(t, level.Remaining, 0)
		require.LessOrEqual(t, level.Remaining, burst)
		require.GreaterOrEqual(t, level.Reset, time.Duration(0))
		require.LessOrEqual(t, level.Reset, micros(charges[0].full))
		if n > 0 {
			require.Equal(t, level.Admitted, level.RetryAfter == 0)
		}
		share := answer{charges: []charge{charges[0].share(mostReplicas)}, backlogs: []int64{0}}
		require.GreaterOrEqual(t, share.levels()[0].Reset, time.Duration(0))
	})
}

// asRedis makes of a JSON value what go-redis would have read.
func asRedis(v any) any {
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<62 {
			return int64(v)
		}
	case []any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = asRedis(v[i])
		}
		return all
	}
	return v
}
