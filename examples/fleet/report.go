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
	fmt.Fprintf(&b, "\n%-14s %6s %8s %9s %9s %10s %9s %9s %9s  %s\n",
		"phase", "time", "calls", "admitted", "limit × t", "no answer", "p50", "p99", "max", "breakers at the end")
	for _, r := range rows {
		fmt.Fprintf(&b, "%-14s %4.1f s %8d %9d %9.0f %10d %9s %9s %9s  %s\n",
			r.name, r.took.Seconds(), r.admitted+r.refused, r.admitted, float64(p.limit)*r.took.Seconds(), r.without,
			demo.Milliseconds(demo.Percentile(r.times, 50)), demo.Milliseconds(demo.Percentile(r.times, 99)),
			demo.Milliseconds(r.most()), r.states())
	}
	fmt.Fprintf(&b, `
Times are what the limit adds to a call. A full bucket of %d comes on top of limit × t, at the beginning. Calls without
an answer of Redis are those that the processes counted by themselves.
`, p.limit)
	return b.String()
}

func (r *row) states() string {
	var all []string
	for state, n := range r.breakers {
		all = append(all, fmt.Sprintf("%d %s", n, state))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
