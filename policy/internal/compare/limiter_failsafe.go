package compare

import (
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"

	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

// failsafeAlgorithm is failsafe-go's adaptive limiter with its defaults, as an
// algorithm. It measures by itself from when a try starts to when it is learned,
// so that nothing can be excluded from its time.
//
// The limiter allows five times as many as were in flight in its last window.
// Here it goes by the most of the last minute, so that a burst after a quiet
// moment is not refused.
//
// It stands here and not among the kit's own, for it would bring a dependency
// along.
type failsafeAlgorithm struct {
	limiter adaptivelimiter.AdaptiveLimiter[any]
	permits map[uint64]adaptivelimiter.Permit
	bounds  limit.Bounds
	took    time.Duration // a mean that forgets
	tries   int
}

var _ limit.Starter = (*failsafeAlgorithm)(nil)

func newFailsafeAlgorithm() *failsafeAlgorithm {
	f := &failsafeAlgorithm{
		limiter: adaptivelimiter.NewBuilder[any]().WithMaxLimitStabilizationWindow(time.Minute).Build(),
		permits: make(map[uint64]adaptivelimiter.Permit),
	}
	f.bounds = limit.ShortQueue(f.limiter.Limit(), 0)
	return f
}

// Bounds implements [limit.Algorithm].
func (f *failsafeAlgorithm) Bounds() limit.Bounds { return f.bounds }

// Start implements [limit.Starter]. A try that the limiter has no room for,
// because its limit has fallen or a lent place was taken back, goes unrecorded.
func (f *failsafeAlgorithm) Start(try uint64) {
	if permit, ok := f.limiter.TryAcquirePermit(); ok {
		f.permits[try] = permit
	}
}

// Learn implements [limit.Algorithm]. The limiter has no use for tries that did
// not run to their end.
func (f *failsafeAlgorithm) Learn(s limit.Sample) {
	permit, ok := f.permits[s.Try]
	if !ok {
		return
	}
	delete(f.permits, s.Try)
	if s.Result != limit.Done {
		permit.Drop()
		return
	}
	permit.Record()
	f.tries++
	f.took += (s.Took() - f.took) / time.Duration(min(f.tries, 64))
	f.bounds = limit.ShortQueue(f.limiter.Limit(), f.took)
}
