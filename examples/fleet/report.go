package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// row is what came of one phase, of all processes.
type row struct {
	name              string
	took              time.Duration // until asked: no process has counted for less
	asked             time.Time     // for the reports
	counted           time.Duration // no process has for more
	admitted, refused int
	without           int
	breakers          map[string]int // processes, by the state of their breaker at the end
	times             []time.Duration
}

func (r *row) add(one report) {
	r.admitted += one.Admitted
	r.refused += one.Refused
	r.without += one.Without
	r.times = append(r.times, one.Times...)
	slices.Sort(r.times)
	if r.breakers == nil {
		r.breakers = map[string]int{}
	}
	r.breakers[one.Breaker]++
}

func (r *row) most() time.Duration { return demo.Percentile(r.times, 100) }

// table is for a person to read at a glance.
func table(p plan, rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-14s %6s %8s %9s %9s %14s %9s %9s %9s  %s\n",
		"phase", "time", "calls", "admitted", "of limit", "without Redis", "p50", "p99", "max", "breakers at the end")
	for i, r := range rows {
		fmt.Fprintf(&b, "%-14s %4.1f s %8d %9d %9.0f %14d %9s %9s %9s  %s\n",
			r.name, r.took.Seconds(), r.admitted+r.refused, r.admitted, p.allows(i, r.took), r.without,
			demo.Milliseconds(demo.Percentile(r.times, 50)), demo.Milliseconds(demo.Percentile(r.times, 99)),
			demo.Milliseconds(r.most()), r.states())
	}
	fmt.Fprintf(&b, `
The limit is %d a second, and as many at once at the beginning. While some processes know that Redis is gone or back and
others do not, a few more may pass. Without Redis each process counts by itself. Times are what the limit adds to a call.
`, p.limit)
	return b.String()
}

// allows is how many the limit lets pass in so much of a phase.
func (p plan) allows(phase int, took time.Duration) float64 {
	n := float64(p.limit) * took.Seconds()
	if phase == 0 { // a full bucket
		n += float64(p.limit)
	}
	return n
}

func (r *row) states() string {
	var all []string
	for state, n := range r.breakers {
		all = append(all, fmt.Sprintf("%d %s", n, state))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
