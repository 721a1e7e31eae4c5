package compare

import (
	"context"
	"time"
)

// server is a service of limited capacity.
type server interface {
	// serve does work that takes so long when the service is idle and not slowed
	// down. It reports false when it was not done, because ctx ended before it
	// began or the service has stopped.
	serve(ctx context.Context, work time.Duration) bool
	// burden is work that nobody waits for.
	burden(work time.Duration)
	// slow makes everything take factor times as long as at first.
	slow(factor float64)
	// stop lets go of everyone.
	stop()
}
