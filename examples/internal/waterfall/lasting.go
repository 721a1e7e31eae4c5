package waterfall

import (
	"strconv"
	"strings"
	"time"
)

// units of time, the largest first.
var units = []struct {
	lasts time.Duration
	name  string
}{{time.Second, " s"}, {time.Millisecond, " ms"}, {time.Microsecond, " µs"}, {time.Nanosecond, " ns"}}

// lasting is a time in three digits.
func lasting(d time.Duration) string { return in(d, d) }

// in is d in the unit that suits another time.
func in(d, like time.Duration) string {
	for _, u := range units {
		if like >= u.lasts && d != 0 {
			return digits(float64(d)/float64(u.lasts)) + u.name
		}
	}
	return "0"
}

func digits(f float64) string {
	places := 2
	if f >= 100 {
		places = 0
	} else if f >= 10 {
		places = 1
	}
	s := strconv.FormatFloat(f, 'f', places, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
