package waterfall

import (
	"math"
	"time"
)

// scale is the time that the drawing spans.
type scale struct {
	began time.Time
	took  time.Duration
}

func scaleOf(rows []row) scale {
	var s scale
	var ended time.Time
	for _, r := range rows {
		if s.began.IsZero() || r.began.Before(s.began) {
			s.began = r.began
		}
		if end := r.began.Add(r.took); end.After(ended) {
			ended = end
		}
	}
	s.took = max(ended.Sub(s.began), time.Nanosecond)
	return s
}

// x is where a time since the beginning is drawn.
func (s scale) x(at time.Duration) float64 {
	return timeStart + (timeEnd-timeStart)*float64(at)/float64(s.took)
}

func (s scale) of(t time.Time) float64 { return s.x(t.Sub(s.began)) }

// label is a tick in the unit of them all.
func (s scale) label(at time.Duration) string { return in(at, s.took) }

// ticks are round times, at most five.
func (s scale) ticks() []time.Duration {
	const most = 4
	step := math.Pow(10, math.Floor(math.Log10(float64(s.took)/most)))
	for _, round := range []float64{1, 2, 5, 10} {
		if float64(s.took) <= most*round*step {
			step *= round
			break
		}
	}
	var ticks []time.Duration
	for at := time.Duration(0); at <= s.took; at += time.Duration(max(1, math.Round(step))) {
		ticks = append(ticks, at)
	}
	return ticks
}
