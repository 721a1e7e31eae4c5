package limit

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSeriesKnowsItsMeanAndHowSureItIs(t *testing.T) {
	var s series
	require.True(t, math.IsInf(s.se(), 1), "of nothing")
	s.add(2)
	require.True(t, math.IsInf(s.se(), 1), "of one")
	for _, v := range []float64{4, 4, 4, 5, 5, 7, 9} {
		s.add(v)
	}
	require.InDelta(t, 5, s.mean, 1e-12)
	require.InDelta(t, math.Sqrt(32./7/8), s.se(), 1e-12)
}

func TestSeriesLosesNothingFarFromZero(t *testing.T) {
	var s series
	for i := range 1000 {
		s.add(1e9 + float64(i%2))
	}
	require.InDelta(t, 1e9+0.5, s.mean, 1e-6)
	require.InDelta(t, 0.5/math.Sqrt(999), s.se(), 1e-6)
}

func TestMeanIsPlainAtFirstAndThenForgets(t *testing.T) {
	var m mean
	for i := range 4 {
		m.add(float64(i), 4)
	}
	require.Equal(t, mean{4, 1.5}, m)
	m.add(5.5, 4)
	require.Equal(t, mean{4, 2.5}, m, "a quarter of the way")
	for range 100 {
		m.add(10, 4)
	}
	require.InDelta(t, 10, m.mean, 1e-9)
}

func TestMeanTakesInASeries(t *testing.T) {
	var s series
	for range 8 {
		s.add(3)
	}
	m := mean{}
	m.merge(s)
	require.Equal(t, mean{8, 3}, m)
	m.set(8, 1)
	m.merge(s)
	require.Equal(t, mean{16, 2}, m)
}
