package limit

import "math"

// series is the mean and the spread of what was added (Welford 1962).
type series struct{ n, mean, m2 float64 }

func (s *series) add(v float64) {
	s.n++
	delta := v - s.mean
	s.mean += delta / s.n
	s.m2 += delta * (v - s.mean)
}

// sd is the standard deviation.
func (s *series) sd() float64 {
	if s.n < 2 {
		return math.Inf(1)
	}
	return math.Sqrt(s.m2 / (s.n - 1))
}

// se is the standard error of the mean.
func (s *series) se() float64 { return s.sd() / math.Sqrt(s.n) }

// mean is one that forgets.
type mean struct{ n, mean float64 }

// add weighs v by 1/n, but at least by 1/memory.
func (m *mean) add(v, memory float64) {
	m.n = min(m.n+1, memory)
	m.mean += (v - m.mean) / m.n
}

// set puts another value in place, the mean of n.
func (m *mean) set(n, v float64) { m.n, m.mean = n, v }

// merge adds all of s.
func (m *mean) merge(s series) {
	m.n = min(m.n, 64) + s.n
	m.mean += (s.mean - m.mean) * s.n / m.n
}
