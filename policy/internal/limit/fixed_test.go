package limit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

func TestFixedStaysAsItIs(t *testing.T) {
	bounds := limit.Bounds{Limit: 7, Queue: 3, Wait: -1, Standing: -1, Typical: time.Second}
	f := limit.Fixed(bounds)
	f.Learn(limit.Sample{InFlight: 7, Ended: time.Hour, Result: limit.Missed})
	require.Equal(t, bounds, f.Bounds())
}

func TestTimeWaitingForOnesOwnCallerIsNotTheServices(t *testing.T) {
	s := limit.Sample{Granted: time.Second, Ended: 3 * time.Second}
	require.Equal(t, 2*time.Second, s.Took())
	s.Excluded = 1500 * time.Millisecond
	require.Equal(t, 500*time.Millisecond, s.Took())
	s.Excluded = time.Minute
	require.Zero(t, s.Took())
}

func TestShortQueueFollowsTheLimitAndTheTime(t *testing.T) {
	const ms = time.Millisecond
	require.Equal(t, limit.Bounds{Limit: 1, Queue: 16, Wait: 200 * ms, Standing: 20 * ms}, limit.ShortQueue(1, 0))
	require.Equal(t, limit.Bounds{Limit: 9, Queue: 18, Wait: 10 * ms, Standing: 10 * ms, Typical: ms}, limit.ShortQueue(9, ms))
	require.Equal(t, limit.Bounds{Limit: 9, Queue: 18, Wait: time.Second, Standing: 100 * ms, Typical: 100 * ms}, limit.ShortQueue(9, 100*ms))
}
