package outage

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// noise is three standard errors of the difference between two shares: which
// calls get the tokens of the retry budget depends on the jitter of the backoff.
func noise(a, b success) float64 {
	variance := func(s success) float64 { return s.share() * (1 - s.share()) / float64(s.calls) }
	return 3 * math.Sqrt(variance(a)+variance(b))
}

// partial compares the default chain with the same one without its breaker.
type partial struct {
	share, rate   float64
	seeds         uint64
	with, without success
}

type success struct{ calls, ok, tries int }

func (s success) share() float64   { return float64(s.ok) / float64(s.calls) }
func (s success) perCall() float64 { return float64(s.tries) / float64(s.calls) }

func TestPartialFailure(t *testing.T) {
	var rows []partial
	for _, share := range []float64{0.3, 0.5} {
		for _, rate := range []float64{50, 500} {
			t.Run(fmt.Sprintf("%.0f %% failing/%.0f per second", 100*share, rate), func(t *testing.T) {
				p := partial{share: share, rate: rate, seeds: seedsOfPartial(rate)}
				p.with = p.run(t, magnetar)
				p.without = p.run(t, withoutBreaker)
				rows = append(rows, p)
				require.GreaterOrEqual(t, p.with.share(), p.without.share()-noise(p.with, p.without))
			})
		}
	}
	printPartial(rows)
}

func seedsOfPartial(rate float64) uint64 {
	switch {
	case raceEnabled:
		return 1
	case rate >= 500:
		return 5
	}
	return 15
}

func (p partial) run(t *testing.T, c client) success {
	var s success
	for seed := range p.seeds {
		synctest.Test(t, func(*testing.T) {
			peer := &upstream{fault: unavailable, out: some(p.share, seed)}
			for _, one := range load(&http.Client{Transport: c.wrap(peer)}, p.rate, 30*time.Second, 0, seed) {
				s.calls++
				if one.ok {
					s.ok++
				}
			}
			s.tries += int(peer.tries.Load())
		})
	}
	return s
}
