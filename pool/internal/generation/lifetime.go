package generation

import (
	"math"
	"math/rand/v2"
	"time"
)

// base makes monotonic times fit in a word.
var base = time.Now()

// clock is the monotonic time.
func clock() int64 { return int64(time.Since(base)) }

const never = math.MaxInt64

// Nothing closes an idle connection when it expires: it is left when it is next
// picked, or with the idle timeout. net/http has no way to take a certain one out
// of its idle ones. Closed underneath, it could be picked in the same moment, and
// a request whose body cannot be sent again would fail; CloseIdleConnections is
// safe, but takes the young ones too.

// expiry draws when a connection made now is as old as may be. It is drawn once
// for each: drawn again at every look, the earliest would win.
func (c Config) expiry(now int64) int64 {
	if c.MaxLifetime <= 0 {
		return never
	}
	life := float64(c.MaxLifetime)
	if c.LifetimeJitter > 0 {
		life -= life * min(c.LifetimeJitter, 1) * rand.Float64()
	}
	return now + int64(life)
}
