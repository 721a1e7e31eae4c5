package outlier

import "math"

// Rate is how often requests succeed, between 0 and 1.
type Rate float64

// Floor is the rate below which one of rates is an outlier: factor standard
// deviations of all of them under their mean, as Envoy does it. With rates that
// do not differ nothing lies below it.
func Floor(rates []Rate, factor float64) Rate {
	if len(rates) == 0 {
		return 0
	}
	n, sum := float64(len(rates)), 0.0
	for _, r := range rates {
		sum += float64(r)
	}
	mean, squares := sum/n, 0.0
	for _, r := range rates {
		squares += (float64(r) - mean) * (float64(r) - mean)
	}
	const noise = 1e-9 // of sums of floats
	return Rate(mean - factor*math.Sqrt(squares/n) - noise)
}

// Most is how many of n endpoints may be ejected at a time, share of them
// rounded down: never all.
func Most(n int, share float64) int {
	const noise = 1e-9 // 0.29 × 100 is less than 29
	return max(0, min(int(float64(n)*share+noise), n-1))
}

// MostOr1 is [Most], and one of two or more at least.
func MostOr1(n int, share float64) int {
	return max(Most(n, share), min(1, n-1), 0)
}
