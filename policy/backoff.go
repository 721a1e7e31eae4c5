package policy

import (
	"math"
	"math/rand/v2"
	"time"
)

// Backoff returns a random wait before the given retry, counted from 1: uniform
// in [0, min(MaxBackoff, InitialBackoff × Multiplier^(retry-1))), the "full
// jitter" of the AWS Architecture Blog, "Exponential Backoff And Jitter". The
// default draws the first from 100 ms, the second from 200 ms, the third from
// 400 ms.
func (r *Retry) Backoff(retry int) time.Duration {
	longest := r.cfg.MaxBackoff
	// In floating point, for a large power is an infinity and not an overflow.
	grown := float64(r.cfg.InitialBackoff) * math.Pow(r.cfg.Multiplier, float64(max(1, retry)-1))
	if grown < float64(longest) {
		longest = time.Duration(grown)
	}
	return rand.N(longest)
}

// later adds two waits without overflow.
func later(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
