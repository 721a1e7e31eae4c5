package compare

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy/internal/bulkhead"
	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

// Behind the gate, the limiter comes to the limits that it comes to alone.
func TestFailsafeAlgorithmFollowsTheLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		algorithm := newFailsafeAlgorithm()
		b := bulkhead.New(algorithm)
		alone := adaptivelimiter.NewBuilder[any]().WithMaxLimitStabilizationWindow(time.Minute).Build()
		var limits []int
		for round := range 400 {
			took := 10 * time.Millisecond
			if round > 200 {
				took = 100 * time.Millisecond
			}
			var places []bulkhead.Place
			var permits []adaptivelimiter.Permit
			for range 10 {
				p, _, ok := b.Enter(t.Context())
				require.True(t, ok)
				places = append(places, p)
				permit, ok := alone.TryAcquirePermit()
				require.True(t, ok)
				permits = append(permits, permit)
			}
			time.Sleep(took)
			for i := range 10 {
				permits[i].Record()
				b.Exit(places[i], limit.Done, 0)
			}
			require.Equal(t, alone.Limit(), b.Limit())
			limits = append(limits, b.Limit())
		}
		require.NotEqual(t, limits[0], limits[200])
		require.Empty(t, algorithm.permits)
		require.Equal(t, 0, algorithm.limiter.Inflight())
		took := algorithm.Bounds().Typical
		require.Equal(t, limit.ShortQueue(b.Limit(), took), algorithm.Bounds())
		require.InDelta(t, 100*time.Millisecond, took, float64(time.Millisecond))
	})
}

func TestFailsafeAlgorithmKeepsNoPermit(t *testing.T) {
	algorithm := newFailsafeAlgorithm()
	b := bulkhead.New(algorithm)
	for i := range 100 {
		p, _, ok := b.Enter(t.Context())
		require.True(t, ok)
		if i%2 == 0 {
			b.Exit(p, limit.Result(i%3), 0)
			continue
		}
		b.Pause()
		b.Quit(p)
	}
	require.Empty(t, algorithm.permits)
	require.Equal(t, 0, algorithm.limiter.Inflight())
}

func TestFailsafeAlgorithmDoesNotRecordWhatTheLimiterHasNoRoomFor(t *testing.T) {
	algorithm := newFailsafeAlgorithm()
	most := uint64(algorithm.Bounds().Limit)
	for try := range most + 1 {
		algorithm.Start(try)
	}
	require.Len(t, algorithm.permits, int(most))
	algorithm.Learn(limit.Sample{Try: most, Result: limit.Done})
	require.Equal(t, int(most), algorithm.limiter.Inflight())
	for range 2 {
		algorithm.Learn(limit.Sample{Try: 0, Result: limit.Done})
	}
	require.Equal(t, int(most)-1, algorithm.limiter.Inflight())
}
