package compare

import (
	"math"
	"math/rand/v2"
)

// distribution is how long services take, as multiples of their mean.
type distribution struct {
	name string
	// quantile is the inverse of the cumulative distribution function.
	quantile func(p float64) float64
}

var (
	constant    = distribution{"constant", func(float64) float64 { return 1 }}
	exponential = distribution{"exponential", func(p float64) float64 { return -math.Log1p(-p) }}
	lognormal   = distribution{"lognormal", func(p float64) float64 {
		const sigma = 1.2
		return math.Exp(sigma*math.Sqrt2*math.Erfinv(2*p-1) - sigma*sigma/2)
	}}
	// pareto has the heaviest tail with a variance worth speaking of.
	pareto = distribution{"pareto", func(p float64) float64 {
		const alpha = 2.2
		return (alpha - 1) / alpha * math.Pow(1-p, -1/alpha)
	}}
	// bimodal is nine hits of a cache to one miss.
	bimodal = distribution{"bimodal", func(p float64) float64 {
		const hit, miss, hits = 0.3, 7.3, 0.9
		if p < hits {
			return hit
		}
		return miss
	}}
)

func (d distribution) draw(rng *rand.Rand) float64 { return d.quantile(rng.Float64()) }
