package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// told is a plan, and what came of it.
func told() (plan, []*ride) {
	p := plan{slots: 2, takes: 100 * ms, patience: time.Second, phases: []phase{
		{name: "A", lasts: 2 * window, load: 0.5},
		{name: "B", lasts: 4 * window, load: 2, slower: 2},
	}}
	kit, bare := newRide("with Shed", p), newRide("without", p)
	for _, r := range []*ride{kit, bare} {
		r.began = time.Now().Add(-p.lasts())
		for i := range 8 {
			r.offer(time.Duration(i)*100*ms, time.Duration(i)*100*ms+ms)
			r.note(time.Duration(i)*100*ms, time.Duration(i)*100*ms+100*ms, answered)
		}
		for i := range 20 {
			r.offer(window*2+time.Duration(i)*100*ms, window*2+time.Duration(i)*100*ms+ms)
		}
	}
	for i := range 9 {
		kit.note(window*2, window*2+time.Duration(i)*200*ms, answered)
		kit.note(window*2, window*2+time.Duration(i)*200*ms, refused)
	}
	for i := range 20 {
		bare.note(window*2, window*3+time.Duration(i)*100*ms, failed)
	}
	return p, []*ride{kit, bare}
}

func TestTableIsReadAtAGlance(t *testing.T) {
	p, rides := told()
	require.Equal(t, `

phase       server    offered/s  can do/s  goodput        p50        p99   refused  failed
A           with Shed         8        20  100.0 %   100.0 ms   100.0 ms         0       0
            without           8        20  100.0 %   100.0 ms   100.0 ms         0       0
B           with Shed        10        10   45.0 %   800.0 ms  1600.0 ms         9       0
            without          10        10    0.0 %          -          -         0      15
Goodput is what was answered while its client waited, of what the resource could do and was asked
for; times are those of the answered; each phase counts from its first moment. Refused: 503.
with Shed, the clients sent 99 % of the requests within 1.0 ms of when they were due.
without, the clients sent 99 % of the requests within 1.0 ms of when they were due.

B           goodput 0.450, promised ≥ 0.90: missed  p99 8.0 x, promised ≤ 3 x: missed
p99 is of the answered, as a multiple of 100.0 ms, that of A, times the slowdown.
`, table(p, rides)+verdicts(p, rides))
}

func TestChartGrowsAsTheRideGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, rides := told()
		require.Equal(t, `                  A B   
with Shed goodput ▄▄▅▄▅▂
          p99     ▁▁▄▇██
without   goodput ▄▄    
          p99     ▁▁    
A column is 500ms; full height is all that the resource can do, and 1s.`, chart(p, rides))
		rides[1].began = time.Now().Add(-3 * window)
		require.Equal(t, `                  A B   
with Shed goodput ▄▄▅▄▅▂
          p99     ▁▁▄▇██
without   goodput ▄▄ 
          p99     ▁▁ 
A column is 500ms; full height is all that the resource can do, and 1s.`, chart(p, rides))
		rides[1].began = time.Time{}
		require.Equal(t, `with Shed B           3.0 s | offered   10 | goodput  40.0 % | p99 1600.0 ms | refused    4 | failed    0
without   A           0.0 s | offered    0 | goodput   0.0 % | p99         - | refused    0 | failed    0`, rides[0].line()+"\n"+rides[1].line())
	})
}

func TestWhatEndsAfterTheLastWindowIsNotCounted(t *testing.T) {
	p, rides := told()
	before := rides[0].sum(0, 6)
	rides[0].note(0, p.lasts(), answered)
	require.Equal(t, before, rides[0].sum(0, 6))
}
