package policy_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestBackoffIsUniformBelowItsCeiling(t *testing.T) {
	r := policy.NewRetry(policy.RetryConfig{})
	for retry, ceiling := range map[int]time.Duration{
		-1: 100 * time.Millisecond,
		1:  100 * time.Millisecond,
		2:  200 * time.Millisecond,
		3:  400 * time.Millisecond,
		10: 30 * time.Second, // 51.2 s, bounded
	} {
		const draws = 10_000
		var sum, largest time.Duration
		for range draws {
			b := r.Backoff(retry)
			require.GreaterOrEqual(t, b, time.Duration(0))
			require.Less(t, b, ceiling)
			sum += b
			largest = max(largest, b)
		}
		require.InEpsilon(t, ceiling/2, sum/draws, 0.05, "retry %d", retry)
		require.InEpsilon(t, ceiling, largest, 0.05, "retry %d", retry)
	}
}

func TestBackoffNeverOverflows(t *testing.T) {
	for _, cfg := range []policy.RetryConfig{
		{InitialBackoff: 1},
		{InitialBackoff: math.MaxInt64},
		{InitialBackoff: 1, MaxBackoff: math.MaxInt64, Multiplier: math.MaxFloat64},
		{InitialBackoff: 1, MaxBackoff: 1, Multiplier: 1},
	} {
		r := policy.NewRetry(cfg)
		for _, retry := range []int{math.MinInt, 0, 1, 62, 63, 64, 1000, math.MaxInt} {
			for range 100 {
				b := r.Backoff(retry)
				require.GreaterOrEqual(t, b, time.Duration(0), "%+v, retry %d", cfg, retry)
			}
		}
	}
}

func TestBackoffDefaultsGiveWayToTheOtherBound(t *testing.T) {
	short := policy.NewRetry(policy.RetryConfig{MaxBackoff: time.Millisecond})
	long := policy.NewRetry(policy.RetryConfig{InitialBackoff: time.Hour})
	var longest time.Duration
	for range 1000 {
		require.Less(t, short.Backoff(5), time.Millisecond)
		longest = max(longest, long.Backoff(5))
	}
	require.InEpsilon(t, time.Hour, longest, 0.1)
}

func BenchmarkBackoff(b *testing.B) {
	r := policy.NewRetry(policy.RetryConfig{})
	b.ReportAllocs()
	for b.Loop() {
		_ = r.Backoff(3)
	}
}
