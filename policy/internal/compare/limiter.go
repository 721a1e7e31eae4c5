package compare

import (
	"context"
	"math"
	"sync/atomic"

	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

// Limiter is what is judged. One that is an [io.Closer] is closed in the end.
type Limiter interface {
	// Acquire reports whether a call may begin. Who began calls release once: ok
	// says that the caller still waited in the end; otherwise ctx has ended.
	Acquire(ctx context.Context) (release func(ctx context.Context, ok bool), admitted bool)
	// Limit is how many calls may be in flight.
	Limit() int
}

// contender makes a limiter for a service of so many slots, of which only the
// fixed ones may make use; nil when there is none yet.
type contender struct {
	name string
	make func(slots int) Limiter
}

var contenders = []contender{
	{"magnetar", newMagnetar},
	{"none", func(int) Limiter { return none{} }},
	{"fixed, right", func(slots int) Limiter { return newFixed(slots) }},
	{"fixed, right, queue", newFixedQueue},
	{"fixed, 4x", func(slots int) Limiter { return newFixed(4 * slots) }},
	{"failsafe", newFailsafe},
	{"failsafe, queue", newFailsafeQueue},
	{"failsafe, levels", newFailsafeLevels},
	{"AIMD", func(int) Limiter { return newPeer(aimd) }},
	{"AIMD, queue", func(int) Limiter { return newPeerQueue(aimd) }},
	{"Vegas", func(int) Limiter { return newPeer(vegas) }},
	{"Gradient2", func(int) Limiter { return newPeer(gradient2) }},
	{"Gradient2, queue", func(int) Limiter { return newPeerQueue(gradient2) }},
	{"fixed, our gate", newGatedFixed},
	{"failsafe, our gate", func(int) Limiter { return newGated(newFailsafeAlgorithm()) }},
	{"Gradient2, our gate", func(int) Limiter { return newGated(limit.NewGradient2()) }},
}

// none admits everybody.
type none struct{}

func (none) Acquire(context.Context) (func(context.Context, bool), bool) {
	return func(context.Context, bool) {}, true
}

func (none) Limit() int { return math.MaxInt }

// fixed is a semaphore.
type fixed struct {
	most     int64
	inFlight atomic.Int64
}

func newFixed(most int) *fixed { return &fixed{most: int64(most)} }

func (f *fixed) Acquire(context.Context) (func(context.Context, bool), bool) {
	if f.inFlight.Add(1) > f.most {
		f.inFlight.Add(-1)
		return nil, false
	}
	return f.release, true
}

func (f *fixed) Limit() int { return int(f.most) }

func (f *fixed) release(context.Context, bool) { f.inFlight.Add(-1) }
