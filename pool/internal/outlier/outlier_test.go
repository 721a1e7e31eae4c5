package outlier_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/pool/internal/outlier"
)

func TestFloorIsBelowTheMeanByTheFactor(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		rates []outlier.Rate
		low   outlier.Rate
	}{
		{"none", nil, 0},
		{"all alike", []outlier.Rate{0.7, 0.7, 0.7}, 0.7},
		{"one worse", []outlier.Rate{1, 1, 1, 1, 0}, 0.8 - 1.9*0.4},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := outlier.Floor(c.rates, 1.9)
			require.InDelta(t, float64(c.low), float64(got), 1e-6)
			require.LessOrEqual(t, got, c.low)
		})
	}
}

// Pool trap 23.
func TestPoolTrap23ShareIsRoundedDownAndNeverAll(t *testing.T) {
	t.Parallel()
	cases := []struct {
		n        int
		share    float64
		most, or int
	}{
		{0, 1, 0, 0},
		{1, 1, 0, 0},
		{2, 0.1, 0, 1},
		{2, 1, 1, 1},
		{3, 0.5, 1, 1},
		{3, 0.66, 1, 1},
		{3, 0.67, 2, 2},
		{4, 0.5, 2, 2},
		{10, 0.3, 3, 3},
		{100, 0.29, 29, 29},
		{5, 0, 0, 1},
	}
	for _, c := range cases {
		require.Equalf(t, c.most, outlier.Most(c.n, c.share), "%v of %d", c.share, c.n)
		require.Equalf(t, c.or, outlier.MostOr1(c.n, c.share), "%v of %d, or one", c.share, c.n)
	}
}

var terms = outlier.Terms{Base: 30 * time.Second, Max: 5 * time.Minute}

// Pool trap 25.
func TestPoolTrap25EjectionsGrowToABoundAndDecayInHealth(t *testing.T) {
	t.Parallel()
	var term outlier.Term
	now := time.Unix(0, 0)
	for i := range 50 {
		d := term.Eject(now, terms)
		require.Equal(t, min(time.Duration(i+1)*terms.Base, terms.Max), d, "ejection %d", i+1)
		now = now.Add(d)
		term.Return(now)
	}
	now = now.Add(5 * terms.Base)
	require.Equal(t, 6*terms.Base, term.Eject(now, terms), "five times as long in health took five off")
	term.Return(now)
	now = now.Add(24 * time.Hour)
	require.Equal(t, terms.Base, term.Eject(now, terms))
	require.Equal(t, 1, term.Count())
}

func TestTermsAtTheEdge(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	for _, of := range []outlier.Terms{
		{Base: time.Minute, Max: time.Minute},
		{Base: 0, Max: time.Minute},
		{Base: time.Minute, Max: time.Minute + 1},
		{Base: math.MaxInt64 / 2, Max: math.MaxInt64},
	} {
		var term outlier.Term
		for range 10 {
			d := term.Eject(now, of)
			require.Positive(t, d)
			require.LessOrEqual(t, d, of.Max)
			term.Return(now)
		}
	}
}
