package limit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

// gradient is a Gradient2 and the time.
type gradient struct {
	*limit.Gradient2
	now time.Duration
}

// newGradient has its first window, of one try, behind it.
func newGradient() *gradient {
	g := &gradient{limit.NewGradient2(), 0}
	g.try(1, time.Millisecond)
	return g
}

func (g *gradient) try(inFlight int, took time.Duration) {
	g.now += time.Millisecond
	g.Learn(limit.Sample{InFlight: inFlight, Granted: g.now - took, Ended: g.now, Result: limit.Done})
}

// window is a second of ten tries.
func (g *gradient) window(inFlight int, took time.Duration) {
	for range 9 {
		g.try(inFlight, took)
	}
	g.now += time.Second
	g.try(inFlight, took)
}

func TestGradient2GrowsByItsQueueWhileTriesTakeAsLong(t *testing.T) {
	g := newGradient()
	require.Equal(t, limit.ShortQueue(20, 0), g.Bounds())
	for _, want := range []int{20, 21, 22, 23, 24} { // 20.8, 21.6, 22.4, 23.2, 24
		g.window(20, 10*time.Millisecond)
		require.Equal(t, limit.ShortQueue(want, 10*time.Millisecond), g.Bounds())
	}
	for range 300 {
		g.window(200, 10*time.Millisecond)
	}
	require.Equal(t, 200, g.Bounds().Limit)
}

func TestGradient2FallsWhenTriesTakeLonger(t *testing.T) {
	g := newGradient()
	for range 100 {
		g.window(200, 10*time.Millisecond)
	}
	require.Equal(t, 100, g.Bounds().Limit) // 20 + 100 · 0.8
	g.window(200, 14*time.Millisecond)
	require.Equal(t, 100, g.Bounds().Limit, "tolerated: 100.8")
	// The long-term mean is 10.15 ms, so that the gradient is 0.5: 0.9 · 100.8 + 0.8.
	g.window(200, 40*time.Millisecond)
	require.Equal(t, 91, g.Bounds().Limit)
	for range 20 {
		g.window(200, 100*time.Millisecond)
	}
	require.Equal(t, 20, g.Bounds().Limit, "its floor")
}

func TestGradient2ForgetsASlowPast(t *testing.T) {
	g := newGradient()
	for range 20 {
		g.window(20, time.Second)
	}
	before := g.Bounds().Limit
	for range 8 { // 0.9 ^ 8: less than half a second is left
		g.window(20, 300*time.Millisecond)
	}
	g.window(before, 650*time.Millisecond)
	require.Less(t, before, g.Bounds().Limit, "0.65 s is not slow yet")
	for range 15 {
		g.window(100, time.Second)
	}
	require.Greater(t, before+15, g.Bounds().Limit, "a second is")
}

func TestGradient2StaysWhere(t *testing.T) {
	cases := map[string]func(*gradient){
		"half of it is not used": func(g *gradient) { g.window(9, 10*time.Millisecond) },
		"there is too little to learn from": func(g *gradient) {
			for range 9 {
				g.now += time.Minute
				g.try(20, time.Second)
			}
		},
		"tries tell nothing": func(g *gradient) {
			for range 100 {
				g.now += time.Second
				g.Learn(limit.Sample{InFlight: 20, Granted: 0, Ended: g.now, Result: limit.Dropped})
			}
		},
		"tries are too quick to be any": func(g *gradient) {
			for range 10 {
				g.window(20, 99*time.Microsecond)
			}
		},
	}
	for name, learn := range cases {
		t.Run(name, func(t *testing.T) {
			g := newGradient()
			learn(g)
			require.Equal(t, 20, g.Bounds().Limit)
			for range 5 {
				g.window(20, 10*time.Millisecond)
			}
			require.Greater(t, g.Bounds().Limit, 20, "it still learns")
		})
	}
}
