package limit

import "time"

// Gradient2 is the algorithm of that name in Netflix's concurrency-limits
// (https://github.com/Netflix/concurrency-limits, Gradient2Limit inside a
// WindowedLimit), with its defaults. Once a second, from the mean time that
// tries took in that second and the long-term mean,
//
//	gradient = max(0.5, min(1, tolerance · long / short))
//	limit    = 0.8 · limit + 0.2 · (limit · gradient + 4)
//
// between 20 and 200. It stays where it is while less than half of it is used.
// When the long-term mean is more than twice the short one, it falls by a tenth
// each time, so that a slow past is soon forgotten.
type Gradient2 struct {
	limit  float64
	long   mean // seconds
	window window
	next   time.Duration // when the window ends
	bounds Bounds
}

const (
	gradientLeast     = 20 // and where it starts
	gradientMost      = 200
	gradientQueue     = 4
	gradientSmoothing = 0.2
	gradientTolerance = 1.5
	gradientLong      = (600. + 1) / 2 // windows: the weight of the newest is 2/(600+1)
	gradientWarmup    = 10             // windows of equal weight at first
	gradientPeriod    = time.Second
	gradientSamples   = 10 // at least, in a window
	gradientQuickest  = 100 * time.Microsecond
)

// NewGradient2 returns a [Gradient2] with the defaults of the original.
func NewGradient2() *Gradient2 {
	return &Gradient2{limit: gradientLeast, bounds: ShortQueue(gradientLeast, 0)}
}

// Bounds implements [Algorithm].
func (g *Gradient2) Bounds() Bounds { return g.bounds }

// Learn implements [Algorithm].
func (g *Gradient2) Learn(s Sample) {
	if s.Result == Dropped || s.Took() < gradientQuickest {
		return
	}
	g.window.add(s)
	if s.Ended <= g.next {
		return
	}
	w := g.window
	g.window, g.next = window{}, s.Ended+gradientPeriod
	if w.tries < gradientSamples {
		return
	}
	g.update(w)
	g.bounds = ShortQueue(int(g.limit), w.mean())
}

// window is the tries of one period.
type window struct {
	tries    int
	took     time.Duration // all of them together
	inFlight int           // at most
}

func (w *window) add(s Sample) {
	w.tries++
	w.took += s.Took()
	w.inFlight = max(w.inFlight, s.InFlight)
}

func (w *window) mean() time.Duration { return w.took / time.Duration(w.tries) }

func (g *Gradient2) update(w window) {
	short := w.mean().Seconds()
	g.learnLong(short)
	long := g.long.mean
	if long > 2*short {
		g.long.mean *= 0.9
	}
	if float64(w.inFlight) < g.limit/2 {
		return
	}
	gradient := max(0.5, min(1, gradientTolerance*long/short))
	want := g.limit*gradient + gradientQueue
	next := g.limit*(1-gradientSmoothing) + want*gradientSmoothing
	g.limit = max(gradientLeast, min(gradientMost, next))
}

// learnLong takes the plain mean of the first few windows.
func (g *Gradient2) learnLong(short float64) {
	if g.long.n < gradientWarmup {
		g.long.add(short, gradientWarmup)
		if g.long.n == gradientWarmup {
			g.long.n = gradientLong
		}
		return
	}
	g.long.add(short, gradientLong)
}
