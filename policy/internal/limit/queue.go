package limit

import "time"

// hiccup is how long a scheduler may keep anyone waiting for nothing.
const hiccup = 10 * time.Millisecond

// ShortQueue is the bounds of a limit with a queue that absorbs bursts and no
// more, for tries that take so long; zero: it is not known yet.
func ShortQueue(limit int, took time.Duration) Bounds {
	b := Bounds{Limit: limit, Queue: max(16, 2*limit), Typical: took}
	if took == 0 {
		took = 20 * time.Millisecond
	}
	b.Wait = max(10*took, hiccup)
	b.Standing = max(took, hiccup)
	return b
}
